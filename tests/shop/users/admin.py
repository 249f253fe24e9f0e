"""The shop's own admin pages of people."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from users.models import Company, Profile, Team, User

admin.site.register(User, UserAdmin)
admin.site.register([Company, Profile, Team])
