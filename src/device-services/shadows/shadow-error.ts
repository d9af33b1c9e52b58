/**
 * Why a request to a shadow is refused: the code and the message of AWS IoT [AWS IoT Developer
 * Guide, "Device Shadow error messages"]. Over MQTT it is the answer `rejected`; over HTTP the code
 * is the status.
 */
export interface ShadowError {
  readonly code: 400 | 404 | 409 | 413 | 415 | 429 | 500
  readonly message: string
}

/** Levels of objects and arrays below `desired` and `reported` [AWS IoT Core quotas]. */
export const shadowDepthMax = 8

const error = (code: ShadowError['code'], message: string): ShadowError =>
  Object.freeze({ code, message })

export const shadowErrors = {
  notJson: error(400, 'Invalid JSON'),
  noState: error(400, 'Missing required node: state'),
  stateNoObject: error(400, 'State node must be an object'),
  desiredNoObject: error(400, 'Desired node must be an object'),
  reportedNoObject: error(400, 'Reported node must be an object'),
  unknownNode: error(400, 'State contains an invalid node'),
  version: error(400, 'Invalid version'),
  clientToken: error(400, 'Invalid clientToken'),
  tooDeep: error(400, `JSON contains too many levels of nesting; maximum is ${shadowDepthMax}`),
  conflict: error(409, 'Version conflict'),
  tooLarge: error(413, 'The payload exceeds the maximum size allowed'),
  notUtf8: error(415, 'Unsupported documented encoding; supported encoding is UTF-8'),
  internal: error(500, 'Internal service failure'),
  tooMany: error(429, 'The store of shadows is full'),
}

/** @param shadowName undefined for the classic shadow */
export function noShadow(thingName: string, shadowName: string | undefined): ShadowError {
  const name = shadowName === undefined ? thingName : `${thingName}~${shadowName}`
  return error(404, `No shadow exists with name: '${name}'`)
}
