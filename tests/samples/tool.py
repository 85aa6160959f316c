"""Hotel limits."""

LIMIT = 140


def allowed(price: int) -> bool:
    return price <= LIMIT
