/**
 * Which topics with `$` messages have [AWS IoT Developer Guide, "Reserved topics"]. A message of
 * Basic Ingest has none: its rule sees what follows `$aws/rules/<rule>/`.
 */
const occurring: readonly string[] = [
  ...['', 'name/+/'].flatMap((name) =>
    ['get', 'update', 'delete'].flatMap((operation) =>
      ['', '/accepted', '/rejected'].map(
        (answer) => `$aws/things/+/shadow/${name}${operation}${answer}`,
      ),
    ),
  ),
  ...['', 'name/+/'].flatMap((name) =>
    ['delta', 'documents'].map((what) => `$aws/things/+/shadow/${name}update/${what}`),
  ),
  '$aws/things/+/jobs/get',
  '$aws/things/+/jobs/start-next',
  '$aws/things/+/jobs/+/get',
  '$aws/things/+/jobs/+/update',
  '$aws/things/+/defender/metrics/+',
  '$aws/things/+/streams/+/+/+',
  '$aws/certificates/+/+',
  '$aws/provisioning-templates/+/provision/+',
  '$aws/device_location/+/get_position_estimate',
  '$aws/commands/+/+/executions/+/response',
  '$aws/commands/+/+/executions/+/response/+',
  '$aws/events/presence/connected/+',
  '$aws/events/presence/disconnected/+',
  '$aws/events/presence/connect_failed/+',
  '$aws/events/subscriptions/subscribed/+',
  '$aws/events/subscriptions/unsubscribed/+',
]

/** Topics of services that Sluice does not have. */
const occurringOnAws: readonly string[] = [
  '$aws/events/#',
  '$aws/things/+/jobs/notify',
  '$aws/things/+/jobs/notify-next',
  '$aws/things/+/tunnels/notify',
  '$aws/commands/#',
  '$aws/sitewise/#',
]

/**
 * Why the topic filter of a rule matches no message.
 *
 * @param filter a filter in which `findTopicFilterFault` finds no fault
 * @returns undefined where messages may have such topics
 */
export function findUnmatchedFilter(filter: string): string | undefined {
  if (!filter.startsWith('$')) return undefined
  const meets = (other: string) => doMeet(filter.split('/'), other.split('/'))
  if (occurring.some(meets)) return undefined
  if (filter.startsWith('$aws/rules/')) {
    return 'a message of Basic Ingest goes to the rule that its topic names, whatever its FROM is'
  }
  return occurringOnAws.some(meets)
    ? 'no message has such a topic here, because Sluice does not have the service that publishes it'
    : 'no message has such a topic: AWS IoT publishes none, and no client may'
}

/** Whether a topic may match both filters. */
function doMeet(one: readonly string[], other: readonly string[]): boolean {
  for (let level = 0; level < one.length && level < other.length; level++) {
    const [left, right] = [one[level], other[level]]
    if (left === '#' || right === '#') return true
    if (left !== '+' && right !== '+' && left !== right) return false
  }
  return one.length === other.length
}
