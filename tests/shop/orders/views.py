"""The front page says how many orders the visitor has placed."""

from django.http import HttpResponse


def front(request):
    if not request.user.is_authenticated:
        return HttpResponse("Welcome to the shop.")
    return HttpResponse(f"Orders: {request.user.orders.count()}")
