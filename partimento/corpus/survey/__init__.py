"""Every file once: verdict, measurements, metadata, fingerprint -> the manifest."""
