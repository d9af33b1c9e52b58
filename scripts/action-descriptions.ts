/**
 * What the fields of actions mean, in a line each, for editors and for the forms of the console. A
 * name that means something else in another action is listed below its kind.
 */
export const ofActions: Readonly<Record<string, string>> = {
  roleArn: 'The role that the action assumes: arn:aws:iam::<account>:role/<name>',
  tableName: 'The name of the table.',
  databaseName: 'The name of the database.',
  destinationArn: 'The topic rule destination: arn:aws:iot:...:ruledestination/...',
  batchMode: 'A list as output is sent as so many records instead of one.',
  batchConfig: 'How many messages share a call.',
  maxBatchOpenMs: 'How long a batch waits for further messages, in milliseconds.',
  maxBatchSize: 'The most messages of a batch.',
  maxBatchSizeBytes: 'The most bytes of a batch.',
  batchAcrossTopics:
    'Whether messages of several topics may share a batch; without it they do not.',
  endpoint: 'The URL of the domain: https://...',
  index: 'The index that gets the document.',
  type: 'The type of the document: _doc for all but old domains.',
  id: 'The id of the document, such as ${newuuid()}.',
  putItem: 'The table that gets one column for each member of the output.',
  timestamp: 'The time of the value; without it, when the message came.',
  value: 'The value, a template.',
  unit: 'The unit of the time: MILLISECONDS (the default), SECONDS, MICROSECONDS or NANOSECONDS.',
}

/** By the kind of the action. */
export const ofKind: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cloudwatchAlarm: {
    alarmName: 'The name of the alarm.',
    stateReason: 'Why its state changes, as people read it.',
    stateValue: 'OK, ALARM or INSUFFICIENT_DATA.',
  },
  cloudwatchLogs: { logGroupName: 'The log group that gets the output.' },
  cloudwatchMetric: {
    metricNamespace: 'The namespace of the metric.',
    metricName: 'The name of the metric.',
    metricValue: 'A number, such as ${temp}.',
    metricUnit: 'A unit of CloudWatch: None, Count, Percent, Milliseconds, ...',
    metricTimestamp: 'The time of the value in epoch seconds; without it, when the message came.',
  },
  dynamoDB: {
    hashKeyField: 'The name of the partition key of the table.',
    hashKeyType: 'STRING (the default) or NUMBER.',
    hashKeyValue: 'The value of the partition key, such as ${topic(2)}.',
    rangeKeyField: 'The name of the sort key, where the table has one.',
    rangeKeyType: 'STRING (the default) or NUMBER.',
    rangeKeyValue: 'The value of the sort key, such as ${timestamp()}.',
    payloadField: 'The column that gets the output; payload by default.',
    operation: 'INSERT (the default), UPDATE or DELETE.',
  },
  firehose: {
    deliveryStreamName: 'The name of the delivery stream.',
    separator: 'What is written behind each record.',
  },
  http: {
    url: 'Where the output is posted, https://...',
    confirmationUrl: 'The destination that is confirmed: the beginning of every url.',
    headers: 'Headers of the request.',
    key: 'The name of the header.',
    auth: 'How the request is signed.',
    sigv4: 'Signature Version 4 of AWS.',
    signingRegion: 'The region that is signed for.',
    serviceName: 'The service that is signed for, such as execute-api.',
    enableBatching: 'Whether several messages share a request.',
  },
  influxDB: {
    organization: 'The organization, of InfluxDB 2.',
    tags: 'Tags of each line, by their names.',
    timestampUnit: 'The unit of the time; ms by default.',
  },
  iotAnalytics: {
    channelName: 'The name of the channel.',
    channelArn: 'The ARN of the channel, instead of its name.',
  },
  iotEvents: {
    inputName: 'The input that gets the output.',
    messageId: 'An id by which the service knows a message again.',
  },
  iotSiteWise: {
    putAssetPropertyValueEntries: 'The properties that get values.',
    entryId: 'An id of this entry, by which errors name it.',
    assetId: 'The asset, beside propertyId.',
    propertyId: 'The property, beside assetId.',
    propertyAlias: 'The property by its alias, instead of assetId and propertyId.',
    propertyValues: 'The values of the property.',
    value: 'The value, as one of the four types.',
    stringValue: 'A text.',
    integerValue: 'A whole number.',
    doubleValue: 'A number.',
    booleanValue: 'true or false.',
    timestamp: 'The time of the value.',
    timeInSeconds: 'In epoch seconds.',
    offsetInNanos: 'Nanoseconds to be added.',
    quality: 'GOOD, BAD or UNCERTAIN.',
  },
  kafka: {
    topic: 'The topic of Kafka.',
    key: 'The key of the record, which chooses its partition.',
    partition: 'The number of the partition, instead of a key.',
    headers: 'Headers of the record.',
    clientProperties: 'Settings of the producer, such as bootstrap.servers.',
  },
  kinesis: {
    streamName: 'The name of the stream, a template.',
    partitionKey: 'A template such as ${topic(2)}. Records of one key stay in order.',
  },
  lambda: { functionArn: 'The ARN of the function, which gets the output.' },
  location: {
    trackerName: 'The name of the tracker.',
    deviceId: 'The device, such as ${topic(2)}.',
    latitude: 'A number, such as ${lat}.',
    longitude: 'A number, such as ${lon}.',
  },
  republish: {
    topic: 'The topic of the new message. A topic that begins with $ is written with $$.',
    qos: 'The quality of service, 0 by default.',
    headers: 'Properties of MQTT 5 of the new message.',
    payloadFormatIndicator: 'UNSPECIFIED_BYTES or UTF8_DATA.',
    contentType: 'What the payload is, such as application/json.',
    responseTopic: 'Where an answer is expected.',
    correlationData: 'Bytes by which an answer is known, in base64.',
    messageExpiry: 'For how many seconds the message is worth something.',
    userProperties: 'Pairs of the application.',
    key: 'The name of the pair.',
  },
  s3: {
    bucketName: 'The name of the bucket.',
    key: 'The key of the object, such as ${topic()}/${timestamp()}.',
    cannedAcl: 'Who may read the object; private by default.',
  },
  salesforce: { token: 'The token of the input stream.', url: 'The URL of the input stream.' },
  sns: {
    targetArn: 'The ARN of the topic.',
    messageFormat: 'RAW (the default), or JSON with a text for each protocol.',
  },
  sqs: {
    queueUrl: 'The URL of the queue, not its ARN.',
    useBase64: 'Whether the output is sent as base64.',
  },
  stepFunctions: {
    stateMachineName: 'The state machine that is started with the output.',
    executionNamePrefix: 'What the names of its executions begin with.',
  },
  timestream: {
    dimensions: 'What describes the measures, such as the device.',
    name: 'The name of the dimension.',
  },
}
