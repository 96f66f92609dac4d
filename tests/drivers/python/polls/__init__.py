"""The application of Django's tutorial, and a model with the rest of the fields."""
