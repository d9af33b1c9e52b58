import { isIPv6 } from 'node:net'
import path from 'node:path'
import type { AwsCalls } from '../aws/aws-calls.ts'
import type { HttpHosts } from '../aws/http/http-hosts.ts'
import type { HttpPoster } from '../aws/http/http-poster.ts'
import { reachableHost } from '../base/loopback.ts'
import { resourceArn } from '../identity/policies/resource-arn.ts'
import type { CompileRule, RuleDefinition } from '../rules/compile-rule.ts'
import { openTopicRuleDestinations } from '../rules/destinations/topic-rule-destinations.ts'
import type { TopicRuleDestinations } from '../rules/destinations/topic-rule-destinations.ts'
import type { AccountStage } from './account-stage.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { Stages } from './stages.ts'

interface DestinationStageDependencies extends Pick<
  AppDependencies,
  'config' | 'clock' | 'logger' | 'shared'
> {
  readonly httpHosts: HttpHosts
  readonly httpPoster: HttpPoster
  readonly account: Pick<AccountStage, 'shownId'>
  readonly aws: Pick<AwsCalls, 'probeInfluxdb'>
  /** The port of the HTTP API, once it is open. */
  readonly httpPort: () => number
}

/** Opens the topic rule destinations of HTTP and InfluxDB actions. */
export function openDestinations(
  dependencies: DestinationStageDependencies,
  stages: Stages,
): Promise<TopicRuleDestinations> {
  const { config, httpHosts, httpPoster, account, httpPort, aws } = dependencies
  const { http, region, confirmUrl, dataDir, mode } = config
  const host = reachableHost(http.host)
  const ownUrl = () =>
    `${http.tls ? 'https' : 'http'}://${isIPv6(host) ? `[${host}]` : host}:${httpPort()}`
  return stages.open(
    'topic rule destinations',
    () =>
      openTopicRuleDestinations(
        {
          ...dependencies,
          poster: httpPoster,
          urlProblem: httpHosts.urlProblem,
          influxdbUrlProblem: httpHosts.influxdbUrlProblem,
          probeInfluxdb:
            mode === 'lab'
              ? undefined
              : (configuration, signal) => aws.probeInfluxdb(region, configuration, signal),
          arnOf: (resource) =>
            resourceArn(`ruledestination/${resource}`, { region, accountId: account.shownId() }),
          confirmBaseOf: (known) => confirmUrl ?? known ?? ownUrl(),
        },
        {
          folder: path.join(dataDir, 'destinations'),
          // A lab enables its own without asking, so it shares none.
          records: mode === 'lab' ? undefined : dependencies.shared?.destinations,
          needsConfirmation: mode !== 'lab',
        },
      ),
    (it) => it.close(),
  )
}

/**
 * A compiler that also makes the destinations of a rule, as AWS does: those whose URL holds no
 * template. Those with one are made by hand.
 */
export function withDestinations(
  compile: CompileRule,
  destinations: Pick<TopicRuleDestinations, 'ensure'>,
): CompileRule {
  return (definition) => {
    const rule = compile(definition)
    for (const url of confirmationUrlsOf(definition)) void destinations.ensure(url)
    return rule
  }
}

function confirmationUrlsOf({ payload }: RuleDefinition): readonly string[] {
  const { actions, errorAction } = payload
  return [...actions, ...(errorAction ? [errorAction] : [])].flatMap((action) => {
    if (!('http' in action)) return []
    // Its schema has accepted it.
    const { url, confirmationUrl } = action.http as {
      readonly url: string
      readonly confirmationUrl?: string
    }
    const confirmed = confirmationUrl || url
    return confirmed.includes('${') ? [] : [confirmed]
  })
}
