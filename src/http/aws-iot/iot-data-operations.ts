/**
 * All operations of AWS IoT's data plane by name, each with its method and URI: facts
 * of the service model that `@aws-sdk/client-iot-data-plane` carries. Made by `npm run docs`.
 */
export const iotDataOperations = {
  DeleteConnection: 'DELETE /connections/{clientId}',
  DeleteThingShadow: 'DELETE /things/{thingName}/shadow',
  GetConnection: 'GET /connections/{clientId}',
  GetRetainedMessage: 'GET /retainedMessage/{topic}',
  GetThingShadow: 'GET /things/{thingName}/shadow',
  ListNamedShadowsForThing: 'GET /api/things/shadow/ListNamedShadowsForThing/{thingName}',
  ListRetainedMessages: 'GET /retainedMessage',
  ListSubscriptions: 'GET /connections/{clientId}/subscriptions',
  Publish: 'POST /topics/{topic}',
  SendDirectMessage: 'POST /connections/{clientId}/messages',
  UpdateThingShadow: 'POST /things/{thingName}/shadow',
}
