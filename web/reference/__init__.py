"""What the API tells of itself: its OpenAPI document, its operations, ready calls, a Postman collection."""
