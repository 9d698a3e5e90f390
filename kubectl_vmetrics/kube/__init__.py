"""Talking to an apiserver: kubeconfig, credentials, HTTP, lists, selectors and the errors of all of them."""
