"""OAuth2, by which people let programs act for them (RFC 6749, 7009, 7636, 7662, 8252, 8414, 9207, 9700).

clients.py the programs, redirects.py where their answers may go, scopes.py what they may do, issuing.py what
they are given, grants.py how they come by it (Authlib's, made stricter), server.py Authlib's server,
endpoints.py revocation and introspection, routes.py the addresses that programs call. The page that asks the
user is web/pages/oauth.py.
"""
