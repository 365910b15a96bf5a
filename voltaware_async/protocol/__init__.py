"""What is known of the API, on plain values: nothing here waits.

endpoints   the 17 endpoints, as data
requests    an endpoint and its arguments -> HttpRequest
codec       JSON bytes <-> records, strictly; from device_ids, grants, json_text, strict, wire_names
replies     HttpResponse -> a record, no result, or what is wrong; malformed: where and why
retry       a failure -> wait how long, or give up
pressure    how attempts ended -> how many at once, and how fast
token       a grant -> how long its token may be used
secret      a text that never shows
base_url    which URLs may be sent secrets
"""
