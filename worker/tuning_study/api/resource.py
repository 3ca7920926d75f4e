"""What the resource is called, and what its objects may be called."""

GROUP, VERSION, KIND, PLURAL = "tuning.dev", "v1alpha1", "TuningStudy", "tuningstudies"
SHORT_NAME = "tstudy"
API_VERSION = f"{GROUP}/{VERSION}"
NAME_LENGTH = 52  # leaves room for the longest suffix of an object that is named after a study
STUDY_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"  # a DNS label: worker pods are hosts of that name
STUDY_NAME_ADVICE = "a study's name is also its workers' host name: write lower case letters, digits and `-` only"
METADATA_FIELDS = (  # of any object
    *("name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "uid"),
    *("resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
    *("managedFields", "selfLink"),
)
