"""The page of the shop."""

from django.urls import path

from orders.views import front

urlpatterns = [path("", front, name="front")]
