"""Django's tutorial's models, and one with the fields that it does not use."""

import datetime
import uuid

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField("date published")

    def __str__(self):
        return self.question_text

    def was_published_recently(self):
        return self.pub_date >= timezone.now() - datetime.timedelta(days=1)


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    choice_text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)

    def __str__(self):
        return self.choice_text


class Tag(models.Model):
    name = models.SlugField(unique=True)
    questions = models.ManyToManyField(Question, related_name="tags")


class Report(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=40, db_index=True, db_comment="as printed")
    body = models.TextField(blank=True)
    size = models.PositiveSmallIntegerField(null=True)
    total = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    ratio = models.FloatField(null=True)
    number = models.BigIntegerField(unique=True)
    open = models.BooleanField(default=True)
    day = models.DateField(null=True)
    hour = models.TimeField(null=True)
    span = models.DurationField(null=True)
    raw = models.BinaryField(default=b"")
    document = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    labels = ArrayField(models.CharField(max_length=20), default=list)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["day", "-total"], name="report_by_day")]
        constraints = [
            models.UniqueConstraint(fields=["title", "day"], name="one_report_a_day"),
            models.CheckConstraint(condition=models.Q(total__gte=0), name="total_not_negative"),
        ]
