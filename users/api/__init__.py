"""What the REST API of users shares: authentication and serializers."""
