"""What the providers over a vendor's SDK have in common.

Start with `sdk.py`, the provider itself, and `answer.py`, the answer that it reads off a stream.
Each vendor's folder then has the same files with the same functions:

    provider.py   XProvider        what the configuration names
    options.py    XOptions         what can be configured
    client.py     build_client     the SDK's client
    request.py    build_request    the conversation in the vendor's form
    answer.py     XAnswer          the vendor's answer, put together
    errors.py     translate_error  what goes wrong, as a `ProviderError`
    models.py     list_models      what the vendor says of its models; `MODELS` are built in
"""
