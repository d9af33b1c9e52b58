import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Clock } from '../base/clock.ts'
import type { ManagedOutbox } from '../outbox/managed-outbox.ts'
import type { CompileRule } from '../rules/compile-rule.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import { createApis } from './server/api.ts'
import type { Api } from './server/api.ts'
import { addDocumentRoute } from './server/api-document.ts'
import { addDeadLetterRoutes } from './sluice/dead-letters.ts'
import type { DeadLetterRouteDependencies } from './sluice/dead-letters.ts'
import { addCheckRoute } from './sluice/check-rule.ts'
import type { CheckRuleDependencies } from './sluice/check-rule.ts'
import { addAsyncApiRoute } from './sluice/asyncapi-routes.ts'
import type { AsyncApiRouteDependencies } from './sluice/asyncapi-routes.ts'
import { addClientRoutes } from './sluice/client-routes.ts'
import type { ClientRouteDependencies } from './sluice/client-routes.ts'
import { addConsoleRoutes } from './console/console-routes.ts'
import { addEventRoutes } from './sluice/event-routes.ts'
import type { EventRouteDependencies } from './sluice/event-routes.ts'
import { addEvaluateRoute } from './sluice/evaluate.ts'
import type { EvaluateDependencies } from './sluice/evaluate.ts'
import type { HttpApp } from './server/http-app.ts'
import { iotControlPlane } from './aws-iot/iot-control-plane.ts'
import { addConnectionRoutes } from './aws-iot/connection-routes.ts'
import type { ConnectionRouteDependencies } from './aws-iot/connection-routes.ts'
import { addDataPlaneRoutes } from './aws-iot/data-plane-routes.ts'
import type { DataPlaneDependencies, DataPlaneOptions } from './aws-iot/data-plane-routes.ts'
import { iotDataPlane } from './aws-iot/iot-data-plane.ts'
import { addDestinationRoutes } from './aws-iot/destination-routes.ts'
import type { DestinationRouteDependencies } from './aws-iot/destination-routes.ts'
import { addEndpointRoute } from './aws-iot/endpoint-route.ts'
import { addCertificateRoutes } from './aws-iot/certificate-routes.ts'
import { addPolicyRoutes } from './aws-iot/policy-routes.ts'
import type { PolicyRouteDependencies } from './aws-iot/policy-routes.ts'
import { addPolicyTargetRoutes } from './aws-iot/policy-target-routes.ts'
import { addThingPrincipalRoutes } from './aws-iot/thing-principal-routes.ts'
import { addThingRoutes } from './aws-iot/thing-routes.ts'
import type { ThingRouteDependencies } from './aws-iot/thing-routes.ts'
import { addShadowRoutes } from './aws-iot/shadow-routes.ts'
import type { ShadowRouteDependencies } from './aws-iot/shadow-routes.ts'
import { addRuleRoutes } from './aws-iot/rule-routes.ts'
import type { RuleRouteDependencies } from './aws-iot/rule-routes.ts'
import { addTagRoutes } from './aws-iot/tag-routes.ts'
import type { TagDependencies } from './aws-iot/tag-routes.ts'
import { lambdaApi } from './lambda/lambda-api.ts'
import { addEventSourceRoutes } from './lambda/event-source-routes.ts'
import type { EventSourceRouteDependencies } from './lambda/event-source-routes.ts'
import { addFunctionRoutes } from './lambda/function-routes.ts'
import type { FunctionRouteDependencies } from './lambda/function-routes.ts'
import { addLambdaTagRoutes } from './lambda/lambda-tag-routes.ts'
import { addOutboxRoutes } from './sluice/outbox-routes.ts'
import type { OutboxRouteDependencies } from './sluice/outbox-routes.ts'
import { addRuleStatisticsRoutes } from './sluice/rule-statistics-routes.ts'
import type { RuleStatisticsRouteDependencies } from './sluice/rule-statistics-routes.ts'
import { addMappingBatchRoute } from './sluice/mapping-batches.ts'
import type { MappingBatchDependencies } from './sluice/mapping-batches.ts'
import { addLabCallRoutes } from './sluice/lab-calls.ts'
import { addLabFaultRoutes } from './sluice/lab-faults.ts'
import { addStreamRoutes } from './sluice/stream-routes.ts'
import type { StreamRouteDependencies } from './sluice/stream-routes.ts'
import type { RecordedCalls } from '../lab/calls/recorded-calls.ts'
import { addDeliveryRoutes } from './sluice/rule-delivery.ts'
import { sluiceApi } from './sluice/sluice-api.ts'
import { addShadowListRoute } from './sluice/shadow-list-routes.ts'
import type { ShadowListDependencies } from './sluice/shadow-list-routes.ts'
import type { PayloadOptions } from './sluice/sluice-api.ts'
import { addStatusRoutes } from './sluice/status-routes.ts'
import type { StatusDependencies } from './sluice/status-routes.ts'

/** The APIs on the HTTP port. Requests that belong to none are answered as AWS IoT answers. */
export const apis = createApis(iotControlPlane, [iotDataPlane, lambdaApi, sluiceApi])

export interface ApiRouteDependencies
  extends
    RuleRouteDependencies,
    Omit<TagDependencies, 'policies'>,
    ThingRouteDependencies,
    PolicyRouteDependencies,
    DestinationRouteDependencies,
    CheckRuleDependencies,
    EvaluateDependencies,
    DataPlaneDependencies,
    ConnectionRouteDependencies,
    ClientRouteDependencies,
    OutboxRouteDependencies,
    RuleStatisticsRouteDependencies,
    DeadLetterRouteDependencies,
    Omit<ShadowRouteDependencies, 'shadows'>,
    EventSourceRouteDependencies,
    FunctionRouteDependencies,
    EventRouteDependencies,
    StreamRouteDependencies,
    Omit<AsyncApiRouteDependencies, 'eventSourceMappings'>,
    MappingBatchDependencies,
    StatusDependencies {
  readonly rules: RuleStore
  readonly shadows: ShadowRouteDependencies['shadows'] & ShadowListDependencies['shadows']
  readonly broker: DataPlaneDependencies['broker'] &
    ConnectionRouteDependencies['broker'] &
    ClientRouteDependencies['broker']
  readonly policies: PolicyRouteDependencies['policies']
  readonly outbox: ManagedOutbox
  readonly metrics: Metrics
  readonly clock: Clock
  readonly compile: CompileRule
  /** The calls that the lab recorded; outside the lab there are none. */
  readonly labCalls: Pick<RecordedCalls, 'list'>
}

/** Adds the routes of all APIs. */
export function addApiRoutes(
  app: HttpApp,
  dependencies: ApiRouteDependencies,
  options: DataPlaneOptions & PayloadOptions,
): void {
  addApi(app, iotControlPlane, (routes) => {
    addRuleRoutes(routes, dependencies)
    addTagRoutes(routes, dependencies)
    addDestinationRoutes(routes, dependencies)
    addThingRoutes(routes, dependencies)
    addThingPrincipalRoutes(routes, dependencies)
    addCertificateRoutes(routes, dependencies)
    addPolicyRoutes(routes, dependencies)
    addPolicyTargetRoutes(routes, dependencies)
    addEndpointRoute(routes)
  })
  addApi(app, iotDataPlane, (routes) => {
    addDataPlaneRoutes(routes, dependencies, options)
    addConnectionRoutes(routes, dependencies)
    addShadowRoutes(routes, dependencies)
  })
  addApi(app, lambdaApi, (routes) => {
    addEventSourceRoutes(routes, dependencies)
    addLambdaTagRoutes(routes, dependencies)
    addFunctionRoutes(routes, dependencies)
  })
  addApi(app, sluiceApi, (routes) => {
    addDeliveryRoutes(routes, dependencies.rules)
    addCheckRoute(routes, dependencies)
    addEvaluateRoute(routes, dependencies)
    addRuleStatisticsRoutes(routes, dependencies)
    addOutboxRoutes(routes, dependencies)
    addDeadLetterRoutes(routes, dependencies, options)
    // Outside the lab the route answers as well, so that the API is the same: it has no calls.
    addLabFaultRoutes(routes, dependencies)
    addStreamRoutes(routes, dependencies)
    addClientRoutes(routes, dependencies)
    addShadowListRoute(routes, dependencies)
    addMappingBatchRoute(routes, dependencies, options)
    addLabCallRoutes(routes, dependencies.labCalls, options)
    addEventRoutes(routes, dependencies)
    addStatusRoutes(routes, dependencies)
    addDocumentRoute(routes)
    addAsyncApiRoute(routes, dependencies)
    addConsoleRoutes(routes)
  })
}

/** Adds routes that all belong to one API. */
function addApi(app: HttpApp, api: Api, add: (routes: HttpApp) => void): void {
  addLater(app, (routes) => {
    routes.addHook('onRoute', (route) => {
      route.config = { ...route.config, api }
    })
    add(routes)
  })
}

/** Adds routes after all plugins before them are loaded, so that the API document has them. */
export function addLater(app: HttpApp, add: (routes: HttpApp) => void): void {
  app.register(async (routes) => add(routes.withTypeProvider<TypeBoxTypeProvider>()))
}
