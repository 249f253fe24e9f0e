"""A folder that is put on the path of the server processes, so that Python runs its `sitecustomize`."""
