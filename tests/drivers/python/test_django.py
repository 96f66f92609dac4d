"""Django's everyday: migrations of its own applications and of the tutorial's, the admin, the ORM."""

import datetime
import io
import sys
from decimal import Decimal

import django
import pytest
from django.conf import settings
from django.core.management import call_command


@pytest.fixture(scope="module")
def site(server, tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    (directory / "polls_migrations").mkdir()
    (directory / "polls_migrations" / "__init__.py").touch()
    sys.path.insert(0, str(directory))
    settings.configure(
        SECRET_KEY="driver tests", USE_TZ=True, TIME_ZONE="Europe/Warsaw", ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=f"{__name__}", STATIC_URL="static/", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIGRATION_MODULES={"polls": "polls_migrations"},
        INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                        "django.contrib.postgres", "django.contrib.sessions", "django.contrib.messages", "polls"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                    "django.contrib.auth.middleware.AuthenticationMiddleware",
                    "django.contrib.messages.middleware.MessageMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
            "context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                                   "django.contrib.messages.context_processors.messages"]}}],
        DATABASES={"default": {
            "ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": server.port, "NAME": "nodedb",
            "USER": "app", "PASSWORD": "app password"}},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])
    django.setup()
    global urlpatterns
    from django.contrib import admin
    from django.urls import path
    urlpatterns = [path("admin/", admin.site.urls)]
    call_command("makemigrations", "polls", verbosity=0)
    call_command("migrate", verbosity=0)
    yield settings
    from django.db import connection
    for application in ("polls", "admin", "auth", "sessions", "contenttypes"):
        call_command("migrate", application, "zero", verbosity=0)
    with connection.cursor() as cursor:
        assert connection.introspection.table_names(cursor) == ["django_migrations"]
        cursor.execute("DROP TABLE django_migrations")
    connection.close()


@pytest.fixture
def polls(site):
    from polls import models
    for model in (models.Tag, models.Question, models.Report):
        model.objects.all().delete()
    return models


def told(*arguments, **options):
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_every_migration_is_applied_and_nothing_is_left_to_make(site):
    assert "[ ]" not in told("showmigrations")
    call_command("makemigrations", check=True, verbosity=0)
    call_command("migrate", check_unapplied=True, verbosity=0)
    assert "no issues" in told("check", database=["default"])


def test_the_admin_logs_in_adds_lists_and_deletes(polls):
    from django.contrib.auth.models import User
    from django.test import Client
    User.objects.filter(username="root").delete()
    User.objects.create_superuser("root", "root@example.org", "secret")
    client = Client()
    refused = client.post("/admin/login/?next=/admin/", {"username": "root", "password": "wrong"})
    assert b"Please enter the correct username" in refused.content
    assert client.post("/admin/login/?next=/admin/", {"username": "root", "password": "secret"}).status_code == 302
    choices = {f"choice_set-{key}": value for key, value in {
        "TOTAL_FORMS": "2", "INITIAL_FORMS": "0", "0-choice_text": "Not much", "0-votes": "0",
        "1-choice_text": "The sky", "1-votes": "3"}.items()}
    added = client.post("/admin/polls/question/add/", {
        "question_text": "What's up?", "pub_date_0": "2026-07-01", "pub_date_1": "12:00:00", **choices})
    assert added.status_code == 302, added.content.decode()
    question = polls.Question.objects.get()
    assert question.pub_date == datetime.datetime(2026, 7, 1, 10, tzinfo=datetime.UTC)
    assert list(question.choice_set.order_by("-votes").values_list("choice_text", "votes")) == [("The sky", 3), ("Not much", 0)]
    listed = client.get("/admin/polls/question/", {"q": "up", "pub_date__year": "2026"})
    assert b"1 question" in listed.content and b"What&#x27;s up?" in listed.content
    removed = client.post("/admin/polls/question/", {
        "action": "delete_selected", "_selected_action": [question.pk], "post": "yes"})
    assert removed.status_code == 302 and not polls.Choice.objects.exists()
    assert b"Recent actions" in client.get("/admin/").content


def test_the_tutorials_questions(polls):
    from django.db.models import Avg, Count, F, Q, Sum
    from django.utils import timezone
    question = polls.Question.objects.create(question_text="What's new?", pub_date=timezone.now())
    assert question.was_published_recently() and polls.Question.objects.filter(pub_date__year=timezone.now().year).get() == question
    question.choice_set.create(choice_text="Not much", votes=0)
    question.choice_set.create(choice_text="The sky", votes=4)
    polls.Choice.objects.filter(choice_text__startswith="The").update(votes=F("votes") + 1)
    assert question.choice_set.aggregate(Sum("votes"), Avg("votes")) == {"votes__sum": 5, "votes__avg": 2.5}
    counted = polls.Question.objects.annotate(answers=Count("choice", filter=Q(choice__votes__gt=0))).values_list("question_text", "answers")
    assert list(counted) == [("What's new?", 1)]
    found = polls.Choice.objects.filter(question__pub_date__lte=timezone.now()).exclude(votes=0).select_related("question")
    assert [choice.question.question_text for choice in found] == ["What's new?"]
    assert polls.Choice.objects.filter(choice_text__icontains="SKY").exists()
    polls.Tag.objects.create(name="news").questions.add(question)
    assert [tag.name for tag in polls.Question.objects.prefetch_related("tags").get().tags.all()] == ["news"]
    assert polls.Question.objects.filter(tags__name="news").distinct().count() == 1


def report(polls, number, **fields):
    return polls.Report(title=f"report {number}", number=number, **fields)


def test_every_field_comes_back_as_it_went(polls):
    fields = dict(
        body="zażółć", size=7, total=Decimal("12.34"), ratio=0.1, open=False, day=datetime.date(2026, 2, 3),
        hour=datetime.time(4, 5, 6, 7), span=datetime.timedelta(days=1, seconds=2, microseconds=3), raw=b"\x00\xff",
        document={"a": [1, None, {"b": True}]}, labels=["one", "two, three"])
    report(polls, 2**40, **fields).save()
    found = polls.Report.objects.get(number=2**40)
    assert {name: bytes(getattr(found, name)) if name == "raw" else getattr(found, name) for name in fields} == fields
    found.size = None
    found.save(update_fields=["size"])
    assert polls.Report.objects.get(size__isnull=True).pk == found.pk


def test_documents_and_arrays_are_asked_inside_the_server(polls):
    report(polls, 1, document={"owner": {"name": "Ada", "age": 36}, "kind": "x"}, labels=["red", "blue"]).save()
    report(polls, 2, document={"owner": {"name": "Grace"}, "list": [1, 2]}, labels=["green"]).save()

    def numbers(**lookup):
        return list(polls.Report.objects.filter(**lookup).order_by("number").values_list("number", flat=True))
    assert numbers(document__owner__name="Ada") == [1]
    assert numbers(document__owner__age__gt=30) == [1]
    assert numbers(document__has_key="list") == [2]
    assert numbers(document__contains={"kind": "x"}) == [1]
    assert numbers(document__list__1=2) == [2]
    assert numbers(document__owner__age__isnull=True) == [2]
    assert numbers(labels__contains=["red"]) == [1]
    assert numbers(labels__overlap=["green", "red"]) == [1, 2]
    assert numbers(labels__len=2) == [1]
    assert numbers(labels__0="green") == [2]


def test_dates_are_cut_and_extracted_in_the_sites_zone(polls):
    from django.db.models import Count
    from django.db.models.functions import ExtractWeekDay, TruncDay, TruncMonth
    late = datetime.datetime(2026, 6, 30, 22, 30, tzinfo=datetime.UTC)
    polls.Question.objects.create(question_text="late", pub_date=late)
    months = polls.Question.objects.annotate(month=TruncMonth("pub_date")).values_list("month").annotate(Count("id"))
    assert [(month.isoformat(), count) for month, count in months] == [("2026-07-01T00:00:00+02:00", 1)]
    assert polls.Question.objects.filter(pub_date__date=datetime.date(2026, 7, 1), pub_date__hour=0).count() == 1
    assert polls.Question.objects.annotate(day=ExtractWeekDay("pub_date")).get().day == 4
    assert polls.Question.objects.annotate(day=TruncDay("pub_date")).get().day.day == 1
    assert polls.Question.objects.datetimes("pub_date", "hour").get().hour == 0


def test_many_rows_at_once(polls):
    reports = polls.Report.objects.bulk_create([report(polls, n, total=n) for n in range(500)], batch_size=200)
    assert len(reports) == 500
    for each in reports:
        each.total += 1
    assert polls.Report.objects.bulk_update(reports, ["total"], batch_size=250) == 500
    assert sum(each.total for each in polls.Report.objects.iterator(chunk_size=100)) == sum(range(501))
    polls.Report.objects.bulk_create([report(polls, 1)], ignore_conflicts=True)
    polls.Report.objects.bulk_create([report(polls, 1, total=77)], update_conflicts=True, unique_fields=["number"], update_fields=["total"])
    assert polls.Report.objects.get(number=1).total == 77
    assert polls.Report.objects.filter(number__in=range(400)).delete()[0] == 400
    assert polls.Report.objects.update_or_create(number=499, defaults={"title": "last"})[1] is False
    assert polls.Report.objects.get_or_create(number=9999, defaults={"title": "new"})[1] is True


def test_transactions_savepoints_and_locks(polls):
    from django.db import IntegrityError, transaction
    report(polls, 1).save()
    with transaction.atomic():
        report(polls, 2).save()
        with pytest.raises(IntegrityError, match="polls_report_number_key"), transaction.atomic():
            report(polls, 2).save()
        assert polls.Report.objects.select_for_update(of=("self",)).get(number=1).title == "report 1"
        assert list(polls.Report.objects.select_for_update(skip_locked=True).order_by("number").values_list("number", flat=True)) == [1, 2]
    with pytest.raises(IntegrityError, match="total_not_negative"):
        report(polls, 3, total=-1).save()
    with pytest.raises(IntegrityError, match="polls_choice_question_id"), transaction.atomic():
        polls.Choice.objects.create(question_id=424242, choice_text="of nothing")
    assert polls.Report.objects.count() == 2


def test_subqueries_windows_and_sets(polls):
    from django.db.models import Case, Exists, F, OuterRef, Subquery, Value, When, Window
    from django.db.models.functions import Coalesce, Lower, Rank, RowNumber
    for number, day in ((1, 1), (2, 1), (3, 2)):
        report(polls, number, total=number, day=datetime.date(2026, 1, day)).save()
    highest = polls.Report.objects.filter(day=OuterRef("day")).order_by("-total").values("number")[:1]
    assert set(polls.Report.objects.annotate(top=Subquery(highest)).values_list("number", "top")) == {(1, 2), (2, 2), (3, 3)}
    ranked = polls.Report.objects.annotate(
        place=Window(Rank(), partition_by="day", order_by=F("total").desc()), line=Window(RowNumber(), order_by="number"))
    assert list(ranked.order_by("number").values_list("place", "line")) == [(2, 1), (1, 2), (1, 3)]
    assert polls.Report.objects.filter(~Exists(polls.Report.objects.filter(day=OuterRef("day"), total__gt=OuterRef("total")))).count() == 2
    sized = polls.Report.objects.annotate(kind=Case(When(total__gte=3, then=Value("big")), default=Lower(Value("SMALL"))))
    assert sized.filter(kind="small").count() == 2
    first, last = polls.Report.objects.filter(number=1), polls.Report.objects.filter(number=3)
    assert first.union(last).count() == 2 and first.intersection(last).count() == 0
    assert polls.Report.objects.order_by("-number")[1:2].get().number == 2
    assert polls.Report.objects.distinct("day").order_by("day", "number").values_list("number", flat=True)[1] == 3
    assert polls.Report.objects.annotate(shown=Coalesce("size", Value(0))).first().shown == 0
    assert polls.Report.objects.order_by(F("size").asc(nulls_last=True), "number").first().number == 1
    assert "polls_report" in polls.Report.objects.filter(number=1).explain()


def test_models_are_written_from_what_is_found(polls):
    written = told("inspectdb", "polls_report", "polls_choice", "polls_question")
    for line in (
            "class PollsReport(models.Model):",
            "id = models.UUIDField(primary_key=True)",
            "title = models.CharField(max_length=40, db_comment='as printed')",
            "size = models.SmallIntegerField(blank=True, null=True)",
            "total = models.DecimalField(max_digits=12, decimal_places=2)",
            "number = models.BigIntegerField(unique=True)",
            "span = models.DurationField(blank=True, null=True)",
            "raw = models.BinaryField()",
            "document = models.JSONField()",
            "updated = models.DateTimeField()",
            "unique_together = (('title', 'day'),)",
            "id = models.BigAutoField(primary_key=True)",
            "question = models.ForeignKey('PollsQuestion', models.DO_NOTHING)"):
        assert line in written, written


def test_constraints_and_sequences_are_introspected(polls):
    from django.db import connection
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "polls_report")
        relations = connection.introspection.get_relations(cursor, "polls_choice")
        sequences = connection.introspection.get_sequences(cursor, "polls_choice")
        described = connection.introspection.get_table_description(cursor, "polls_report")
    assert found["one_report_a_day"]["columns"] == ["title", "day"] and found["one_report_a_day"]["unique"]
    assert found["total_not_negative"]["check"]
    assert (found["report_by_day"]["columns"], found["report_by_day"]["orders"]) == (["day", "total"], ["ASC", "DESC"])
    assert relations == {"question_id": ("id", "polls_question")}
    assert sequences == [{"name": "polls_choice_id_seq", "table": "polls_choice", "column": "id"}]
    assert {column.name: column.null_ok for column in described}["size"] is True


def test_data_goes_out_and_comes_back_and_sequences_are_reset(polls, tmp_path):
    from django.db import connection
    question = polls.Question.objects.create(question_text="kept", pub_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    report(polls, 5, document={"a": 1}, labels=["x"]).save()
    kept = tmp_path / "kept.json"
    kept.write_text(told("dumpdata", "polls"))
    call_command("flush", interactive=False, verbosity=0)
    assert not polls.Question.objects.exists()
    call_command("loaddata", str(kept), verbosity=0)
    assert polls.Question.objects.get() == question and polls.Report.objects.get().labels == ["x"]
    with connection.cursor() as cursor:
        for statement in told("sqlsequencereset", "polls", no_color=True).split(";\n"):
            if "setval" in statement:
                cursor.execute(statement)
    assert polls.Question.objects.create(question_text="next", pub_date=question.pub_date).pk > question.pk


def test_a_changed_model_is_migrated_and_back(polls):
    from django.db import connection, migrations, models
    from django.db.migrations.state import ProjectState
    state = ProjectState()
    steps = [
        migrations.CreateModel("Draft", [("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=20))]),
        migrations.AddField("Draft", "pages", models.IntegerField(default=1)),
        migrations.AlterField("Draft", "title", models.CharField(max_length=50, unique=True)),
        migrations.AlterField("Draft", "pages", models.BigIntegerField(null=True)),
        migrations.RenameField("Draft", "pages", "length"),
        migrations.AddIndex("Draft", models.Index(fields=["length"], name="draft_by_length")),
        migrations.AddConstraint("Draft", models.CheckConstraint(condition=models.Q(length__gt=0), name="has_pages")),
        migrations.AlterField("Draft", "title", models.TextField()),
        migrations.RenameModel("Draft", "Paper"),
        migrations.AlterModelTable("Paper", "papers"),
        migrations.RemoveConstraint("Paper", "has_pages"),
    ]
    states = [state]
    for step in steps:
        changed = states[-1].clone()
        step.state_forwards("polls", changed)
        with connection.schema_editor() as editor:
            step.database_forwards("polls", editor, states[-1], changed)
        states.append(changed)
        if isinstance(step, migrations.CreateModel):
            changed.apps.get_model("polls", "Draft").objects.create(title="first")
    paper = states[-1].apps.get_model("polls", "Paper").objects.get()
    assert (paper.title, paper.length) == ("first", 1)
    for step, before, after in reversed(list(zip(steps, states, states[1:]))):
        with connection.schema_editor() as editor:
            step.database_backwards("polls", editor, after, before)
    with connection.cursor() as cursor:
        assert not {"papers", "polls_draft"} & set(connection.introspection.table_names(cursor))
