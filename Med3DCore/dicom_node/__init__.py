"""A DICOM service: takes CT series by C-STORE, segments them, and sends the results to a peer. By pynetdicom.

``settings`` what it may do, ``queue`` what it has to do (on disk), ``receiver`` takes, ``processing`` segments,
``sender`` sends, ``service`` runs them together.
"""
