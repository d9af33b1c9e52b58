import type { FailureClass } from './failure-class.ts'

/** The services that records are sent to, as people call them. */
export type Service =
  | 'Kinesis'
  | 'CloudWatch'
  | 'CloudWatch Logs'
  | 'DynamoDB'
  | 'Firehose'
  | 'HTTP'
  | 'InfluxDB'
  | 'IoT Analytics'
  | 'IoT Events'
  | 'IoT SiteWise'
  | 'Kafka'
  | 'Lambda'
  | 'Location'
  | 'OpenSearch'
  | 'S3'
  | 'Salesforce'
  | 'SNS'
  | 'SQS'
  | 'Step Functions'
  | 'Timestream'

/** The certificate is not that of the host, or nobody who is trusted has signed it. */
const certificateFailures = {
  CERT_HAS_EXPIRED: 'destination',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'destination',
  ERR_TLS_CERT_ALTNAME_INVALID: 'destination',
  SELF_SIGNED_CERT_IN_CHAIN: 'destination',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'destination',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'destination',
} as const

/**
 * What the errors of each service mean where the common lists and the HTTP status do not say it:
 * codes of the errors in the API Reference of the service, and of entries in its answers.
 *
 * - `passing`: the call is made again.
 * - `destination`: the service refuses the caller, or its target is missing or cannot be used. The
 *   records wait.
 * - `record`: the service refuses this record for what it is. It is given up at once.
 */
const failures: Readonly<Record<Service, Readonly<Record<string, FailureClass>>>> = {
  Kinesis: {},
  CloudWatch: {
    InternalServiceFault: 'passing',
    InvalidParameterCombinationException: 'record',
    InvalidParameterValueException: 'record',
    InvalidFormat: 'record',
    InvalidFormatFault: 'record',
    MissingRequiredParameterException: 'record',
    ResourceNotFound: 'destination',
  },
  'CloudWatch Logs': {
    InvalidParameterException: 'record',
    RejectedLogEvent: 'record',
    // Calls of earlier releases of the service named a token; the next call needs none.
    InvalidSequenceTokenException: 'passing',
  },
  DynamoDB: {
    ItemCollectionSizeLimitExceededException: 'record',
    ReplicatedWriteConflictException: 'passing',
    TransactionConflictException: 'passing',
  },
  Firehose: {
    InvalidKMSResourceException: 'destination',
    InvalidSourceException: 'destination',
  },
  // An endpoint that somebody else wrote. What is not here follows from the status: 5xx and 429
  // pass, and any other refusal is a condition: 401 and 403, a redirect, a wrong method.
  HTTP: {
    DestinationNotEnabled: 'destination',
    EndpointNotFound: 'destination',
    ENOTFOUND: 'destination',
    RefusedRepeatedly: 'record',
    HTTP_400: 'record',
    HTTP_404: 'record',
    HTTP_406: 'record',
    HTTP_408: 'passing',
    HTTP_409: 'record',
    HTTP_410: 'record',
    HTTP_411: 'record',
    HTTP_412: 'record',
    HTTP_414: 'record',
    HTTP_415: 'record',
    HTTP_416: 'record',
    HTTP_417: 'record',
    HTTP_422: 'record',
    HTTP_423: 'passing',
    HTTP_424: 'passing',
    HTTP_425: 'passing',
    HTTP_431: 'record',
    ...certificateFailures,
  },
  // What is not here follows from the status: 429 and 5xx pass, and any other refusal is a
  // condition: a token that is not taken (401, 403), a missing bucket or organization (404).
  InfluxDB: {
    DestinationNotEnabled: 'destination',
    ENOTFOUND: 'destination',
    OrganizationMissing: 'record',
    // The lines are no line protocol, or do not fit the types of the columns.
    HTTP_400: 'record',
    HTTP_408: 'passing',
    HTTP_413: 'record',
    HTTP_422: 'record',
    // The secret with the token, and what Secrets Manager says of its name.
    SecretUnusable: 'destination',
    ValidationException: 'destination',
    ...certificateFailures,
  },
  'IoT Analytics': {
    InvalidRequestException: 'record',
  },
  'IoT Events': {
    InvalidRequestException: 'record',
  },
  'IoT SiteWise': {
    AccessDeniedException: 'destination',
    ConflictingOperationException: 'passing',
    InvalidRequestException: 'record',
    // One property is missing, not the service: other entries of the destination are taken.
    ResourceNotFoundException: 'record',
    TimestampOutOfRangeException: 'record',
  },
  // Names of Apache Kafka's errors (org.apache.kafka.common.protocol.Errors), then Sluice's own.
  Kafka: {
    CLUSTER_AUTHORIZATION_FAILED: 'destination',
    ILLEGAL_SASL_STATE: 'destination',
    INVALID_RECORD: 'record',
    INVALID_REQUIRED_ACKS: 'destination',
    INVALID_TIMESTAMP: 'record',
    INVALID_TOPIC_EXCEPTION: 'record',
    MESSAGE_TOO_LARGE: 'record',
    POLICY_VIOLATION: 'destination',
    RECORD_LIST_TOO_LARGE: 'record',
    SASL_AUTHENTICATION_FAILED: 'destination',
    SECURITY_DISABLED: 'destination',
    TOPIC_AUTHORIZATION_FAILED: 'destination',
    UNKNOWN_SERVER_ERROR: 'destination',
    UNKNOWN_TOPIC_OR_PARTITION: 'destination',
    UNSUPPORTED_COMPRESSION_TYPE: 'destination',
    UNSUPPORTED_FOR_MESSAGE_FORMAT: 'record',
    UNSUPPORTED_SASL_MECHANISM: 'destination',
    UNSUPPORTED_VERSION: 'destination',
    ClientPropertyInvalid: 'destination',
    EndpointRefused: 'destination',
    PartitionMissing: 'record',
    SaslFailed: 'destination',
    SecretUnavailable: 'destination',
    TlsFailed: 'destination',
  },
  Lambda: {
    EC2AccessDeniedException: 'destination',
    EC2ThrottledException: 'passing',
    EC2UnexpectedException: 'passing',
    EFSMountConnectivityException: 'passing',
    EFSMountTimeoutException: 'passing',
    ENILimitReachedException: 'passing',
    InvalidParameterValueException: 'destination',
    InvalidRequestContentException: 'record',
    InvalidRuntimeException: 'destination',
    InvalidSecurityGroupIDException: 'destination',
    InvalidSubnetIDException: 'destination',
    InvalidZipFileException: 'destination',
    KMSAccessDeniedException: 'destination',
    RecursiveInvocationException: 'record',
    RequestTooLargeException: 'record',
    ResourceConflictException: 'passing',
    ResourceNotReadyException: 'passing',
    ServiceException: 'passing',
    SubnetIPAddressLimitReachedException: 'passing',
    UnsupportedMediaTypeException: 'record',
  },
  Location: {
    AccessDeniedError: 'destination',
    ConflictError: 'passing',
    InternalServerError: 'passing',
    InternalServerException: 'passing',
    ResourceNotFoundError: 'destination',
    ThrottlingError: 'passing',
    ValidationError: 'record',
  },
  OpenSearch: {
    index_closed_exception: 'destination',
    index_not_found_exception: 'destination',
    resource_already_exists_exception: 'passing',
    // The index cannot be made, because the domain has no room for its shards.
    validation_exception: 'destination',
    version_conflict_engine_exception: 'passing',
  },
  S3: {
    AccessControlListNotSupported: 'destination',
    AllAccessDisabled: 'destination',
    EntityTooLarge: 'record',
    InvalidBucketName: 'destination',
    InvalidURI: 'record',
    KeyTooLongError: 'record',
    NoSuchBucket: 'destination',
    OperationAborted: 'passing',
    PermanentRedirect: 'destination',
    RequestTimeTooSkewed: 'passing',
  },
  Salesforce: {},
  SNS: {
    AuthorizationErrorException: 'destination',
    EndpointDisabledException: 'destination',
    FilterPolicyLimitExceededException: 'destination',
    InternalErrorException: 'passing',
    InvalidParameterException: 'record',
    InvalidParameterValueException: 'record',
    InvalidSecurityException: 'destination',
    KMSThrottlingException: 'passing',
    NotFoundException: 'destination',
    PlatformApplicationDisabledException: 'destination',
    // An entry of a batch names the code of the protocol, without "Exception".
    AuthorizationError: 'destination',
    EndpointDisabled: 'destination',
    FilterPolicyLimitExceeded: 'destination',
    InvalidParameter: 'record',
    InvalidSecurity: 'destination',
    KMSAccessDenied: 'destination',
    KMSDisabled: 'destination',
    KMSInvalidState: 'destination',
    KMSNotFound: 'destination',
    KMSThrottling: 'passing',
    NotFound: 'destination',
    ParameterValueInvalid: 'record',
    PlatformApplicationDisabled: 'destination',
    Throttled: 'passing',
  },
  SQS: {
    BatchRequestTooLong: 'record',
    InvalidAddress: 'destination',
    InvalidMessageContents: 'record',
    InvalidParameterValue: 'record',
    InvalidParameterValueException: 'record',
    InvalidSecurity: 'destination',
    KmsAccessDenied: 'destination',
    KmsDisabled: 'destination',
    KmsInvalidKeyUsage: 'destination',
    KmsInvalidState: 'destination',
    KmsNotFound: 'destination',
    KmsOptInRequired: 'destination',
    KmsThrottled: 'passing',
    MissingParameter: 'record',
    OverLimit: 'passing',
    QueueDoesNotExist: 'destination',
    UnsupportedOperation: 'destination',
    // An entry of a batch names the codes of the older protocol.
    'AWS.SimpleQueueService.NonExistentQueue': 'destination',
    'KMS.AccessDeniedException': 'destination',
    'KMS.DisabledException': 'destination',
    'KMS.InvalidKeyUsageException': 'destination',
    'KMS.InvalidStateException': 'destination',
    'KMS.NotFoundException': 'destination',
    'KMS.OptInRequired': 'destination',
    'KMS.ThrottlingException': 'passing',
  },
  'Step Functions': {
    ExecutionLimitExceeded: 'passing',
    InvalidArn: 'destination',
    InvalidExecutionInput: 'record',
    InvalidName: 'record',
    KmsAccessDeniedException: 'destination',
    KmsInvalidStateException: 'destination',
    KmsThrottlingException: 'passing',
    StateMachineDeleting: 'destination',
    StateMachineDoesNotExist: 'destination',
  },
  Timestream: {
    InvalidEndpointException: 'passing',
    RejectedRecord: 'record',
    RejectedRecordsException: 'record',
  },
}

/** The same as maps: a code is a text from outside, and no member of an object. */
export const serviceFailures = Object.fromEntries(
  Object.entries(failures).map(([service, codes]) => [service, new Map(Object.entries(codes))]),
) as unknown as Readonly<Record<Service, ReadonlyMap<string, FailureClass>>>

/**
 * The statuses with which a service refuses a record for what it is, where it has more codes than
 * can be listed: those of the document, its mapping and the method.
 */
export const recordStatuses: Readonly<Partial<Record<string, ReadonlySet<number>>>> = {
  OpenSearch: new Set([400, 405, 406, 415]),
  Salesforce: new Set([400, 415, 422]),
}
