import { definitionOf } from '../../actions/kinds/service-action-fixtures.ts'
import type { ServiceAnswer } from './recording-service.ts'
import { jsonError, messageMs, restError, twoDevices, unavailable } from './service-cases.ts'
import type { ServiceCase } from './service-cases.ts'

const events = (...messages: string[]) => ({
  logGroupName: 'g',
  logStreamName: 'sluice/r',
  logEvents: messages.map((message) => ({ timestamp: messageMs, message })),
})

const logs: ServiceCase = {
  name: 'CloudWatch Logs',
  definition: definitionOf('cloudwatchLogs', { logGroupName: 'g' }),
  messages: twoDevices,
  one: { answer: { body: {} }, sent: ['PutLogEvents', events('{"t":0.5}')] },
  several: {
    answer: { body: { nextSequenceToken: '1' } },
    sent: ['PutLogEvents', events('{"t":0.5}', '{"t":1.5}')],
  },
  parts: [
    [
      'the second event is too new',
      { body: { rejectedLogEventsInfo: { tooNewLogEventStartIndex: 1 } } },
      ['ok', 'record RejectedLogEvent'],
    ],
    [
      'the first event is too old',
      { body: { rejectedLogEventsInfo: { tooOldLogEventEndIndex: 1 } } },
      ['record RejectedLogEvent', 'ok'],
    ],
    [
      'both events are older than the retention',
      { body: { rejectedLogEventsInfo: { expiredLogEventEndIndex: 2 } } },
      ['record RejectedLogEvent', 'record RejectedLogEvent'],
    ],
  ],
  failures: [
    ['a throttle', jsonError('ThrottlingException'), 'passing'],
    ['a service that is not there', unavailable, 'passing'],
    [
      'a fault of the service',
      jsonError('ServiceUnavailableException', '', { status: 500 }),
      'passing',
    ],
    ['an event that is refused', jsonError('InvalidParameterException'), 'record'],
    ['a role without the permission', jsonError('AccessDeniedException'), 'destination'],
    ['an unknown access key', jsonError('UnrecognizedClientException'), 'destination'],
    [
      'a missing group',
      jsonError('ResourceNotFoundException', 'The specified log group does not exist.'),
      'destination',
    ],
  ],
}

const metricDatum = { MetricName: 'm', Timestamp: messageMs / 1_000, Unit: 'Count' }
const metric: ServiceCase = {
  name: 'CloudWatch, a metric',
  definition: definitionOf('cloudwatchMetric', {
    metricNamespace: 'n',
    metricName: 'm',
    metricValue: '${v}',
    metricUnit: 'Count',
  }),
  messages: [{ payload: { v: 1.5 } }, { payload: { v: 2 } }],
  one: {
    answer: { body: {} },
    sent: ['PutMetricData', { Namespace: 'n', MetricData: [{ ...metricDatum, Value: 1.5 }] }],
  },
  several: {
    answer: { body: {} },
    sent: [
      'PutMetricData',
      {
        Namespace: 'n',
        MetricData: [
          { ...metricDatum, Value: 1.5 },
          { ...metricDatum, Value: 2 },
        ],
      },
    ],
  },
  failures: [
    ['a throttle', jsonError('ThrottlingException'), 'passing'],
    ['a throttle of the older protocol', jsonError('Throttling'), 'passing'],
    ['a fault of CloudWatch', jsonError('InternalServiceFault', 'no', { status: 500 }), 'passing'],
    ['a value that is refused', jsonError('InvalidParameterValueException'), 'record'],
    ['a time that is too old', jsonError('InvalidParameterCombinationException'), 'record'],
    ['a role without the permission', jsonError('AccessDeniedException'), 'destination'],
  ],
}

const timestreamRecord = (device: string, value: string) => ({
  Dimensions: [{ Name: 'device', Value: device }],
  MeasureName: 't',
  MeasureValue: value,
  MeasureValueType: 'DOUBLE',
  Time: String(messageMs),
  TimeUnit: 'MILLISECONDS',
})

const rejected = (rejections: readonly object[]): ServiceAnswer => ({
  status: 419,
  body: {
    __type: 'com.amazonaws.timestream.v20181101#RejectedRecordsException',
    Message: 'One or more records have been rejected.',
    RejectedRecords: rejections,
  },
})

const timestream: ServiceCase = {
  name: 'Timestream',
  definition: definitionOf('timestream', {
    databaseName: 'd',
    tableName: 't',
    dimensions: [{ name: 'device', value: '${id}' }],
  }),
  messages: twoDevices,
  one: {
    answer: { body: { RecordsIngested: { Total: 1 } } },
    sent: [
      'WriteRecords',
      { DatabaseName: 'd', TableName: 't', Records: [timestreamRecord('a', '0.5')] },
    ],
  },
  several: {
    answer: { body: { RecordsIngested: { Total: 2 } } },
    sent: [
      'WriteRecords',
      {
        DatabaseName: 'd',
        TableName: 't',
        Records: [timestreamRecord('a', '0.5'), timestreamRecord('b', '1.5')],
      },
    ],
  },
  parts: [
    [
      'the first record is rejected',
      rejected([{ RecordIndex: 0, Reason: 'outside of the memory store' }]),
      ['record RejectedRecord', 'ok'],
    ],
    [
      'the second record is rejected',
      rejected([{ RecordIndex: 1, Reason: 'outside of the memory store' }]),
      ['ok', 'record RejectedRecord'],
    ],
    [
      'a rejection without an index',
      rejected([{ Reason: 'of one of them' }]),
      'record RejectedRecordsException',
    ],
    ['a rejection of nothing', rejected([]), 'record RejectedRecordsException'],
  ],
  failures: [
    ['a throttle', jsonError('ThrottlingException'), 'passing'],
    ['an endpoint that has changed', jsonError('InvalidEndpointException'), 'passing'],
    ['a service that is not there', unavailable, 'passing'],
    ['a record that is refused', jsonError('ValidationException'), 'record'],
    ['a role without the permission', jsonError('AccessDeniedException'), 'destination'],
    ['a missing table', jsonError('ResourceNotFoundException'), 'destination'],
  ],
}

/** `messageMs`, as the SDK writes whole seconds. */
const SampleTime = '2023-11-14T22:13:20Z'
const position = (DeviceId: string) => ({ DeviceId, SampleTime, Position: [2, 1.5] })
const updatePath = 'POST /tracking/v0/trackers/t/positions'

const location: ServiceCase = {
  name: 'Location',
  definition: definitionOf('location', {
    trackerName: 't',
    deviceId: '${id}',
    latitude: '1.5',
    longitude: '2',
  }),
  messages: twoDevices,
  one: { answer: { body: { Errors: [] } }, sent: [updatePath, { Updates: [position('a')] }] },
  several: {
    answer: { body: { Errors: [] } },
    sent: [updatePath, { Updates: [position('a'), position('b')] }],
  },
  parts: [
    [
      'one update is refused',
      locationErrors([{ DeviceId: 'b', SampleTime, Error: { Code: 'ValidationError' } }]),
      ['ok', 'record ValidationError'],
    ],
    [
      'one update is throttled',
      locationErrors([{ DeviceId: 'a', SampleTime, Error: { Code: 'ThrottlingError' } }]),
      ['passing ThrottlingError', 'ok'],
    ],
    [
      'the time of an error is written otherwise',
      locationErrors([
        {
          DeviceId: 'a',
          SampleTime: '2023-11-14T22:13:21Z',
          Error: { Code: 'InternalServerError' },
        },
      ]),
      ['passing InternalServerError', 'ok'],
    ],
    [
      'an error names no device',
      locationErrors([{ Error: { Code: 'InternalServerError' } }]),
      ['passing InternalServerError', 'passing InternalServerError'],
    ],
    [
      'an error says nothing',
      locationErrors([{ DeviceId: 'a' }]),
      ['passing InternalFailure', 'ok'],
    ],
  ],
  failures: [
    ['a throttle', restError(429, 'ThrottlingException'), 'passing'],
    ['a fault of the service', restError(500, 'InternalServerException'), 'passing'],
    ['a service that is not there', unavailable, 'passing'],
    ['an update that is refused', restError(400, 'ValidationException'), 'record'],
    ['a role without the permission', restError(403, 'AccessDeniedException'), 'destination'],
    ['a missing tracker', restError(404, 'ResourceNotFoundException'), 'destination'],
  ],
}

function locationErrors(errors: readonly object[]): ServiceAnswer {
  return { body: { Errors: errors } }
}

const siteWiseEntry = (index: number, value: number) => ({
  entryId: String(index),
  propertyAlias: '/plant/t',
  propertyValues: [{ value: { doubleValue: value }, timestamp: { timeInSeconds: 1_700_000_000 } }],
})

function siteWiseErrors(entryId: string, ...errorCodes: string[]): ServiceAnswer {
  const errors = errorCodes.map((errorCode) => ({ errorCode, errorMessage: 'refused' }))
  return { body: { errorEntries: [{ entryId, errors }] } }
}

const siteWise: ServiceCase = {
  name: 'IoT SiteWise',
  definition: definitionOf('iotSiteWise', {
    putAssetPropertyValueEntries: [
      {
        entryId: 'same-for-all',
        propertyAlias: '/plant/t',
        propertyValues: [
          { value: { doubleValue: '${v}' }, timestamp: { timeInSeconds: '1700000000' } },
        ],
      },
    ],
  }),
  messages: [{ payload: { v: 1.5 } }, { payload: { v: 2.5 } }],
  one: {
    answer: { body: { errorEntries: [] } },
    sent: ['POST /properties', { entries: [siteWiseEntry(0, 1.5)] }],
  },
  several: {
    answer: { body: { errorEntries: [] } },
    sent: ['POST /properties', { entries: [siteWiseEntry(0, 1.5), siteWiseEntry(1, 2.5)] }],
  },
  parts: [
    [
      'one property is missing',
      siteWiseErrors('1', 'ResourceNotFoundException'),
      ['ok', 'record ResourceNotFoundException'],
    ],
    [
      'one entry is throttled',
      siteWiseErrors('0', 'ThrottlingException'),
      ['passing ThrottlingException', 'ok'],
    ],
    [
      'the role may not write one property',
      siteWiseErrors('0', 'AccessDeniedException'),
      ['destination AccessDeniedException', 'ok'],
    ],
    [
      'an error of no entry',
      siteWiseErrors('of-another', 'InternalFailureException'),
      ['passing InternalFailureException', 'passing InternalFailureException'],
    ],
    ['an error says nothing', siteWiseErrors('0'), ['passing InternalFailure', 'ok']],
  ],
  failures: [
    ['a throttle', restError(429, 'ThrottlingException'), 'passing'],
    ['a fault of the service', restError(500, 'InternalFailureException'), 'passing'],
    ['a service that is not there', unavailable, 'passing'],
    ['a request that is refused', restError(400, 'InvalidRequestException'), 'record'],
    ['a role without the permission', restError(403, 'AccessDeniedException'), 'destination'],
  ],
}

/** Services that take several records in a call. */
export const recordCases: readonly ServiceCase[] = [logs, metric, timestream, location, siteWise]
