/**
 * The operations of an AWS service by name: method and URI as its service model has them, such as
 * `GET /things/{thingName}`. A label `{name}` stands for one segment of the path, `{name+}` for all
 * that are left; a URI may end in a query that must be there.
 */
export type AwsOperations = Readonly<Record<string, string>>

/**
 * @returns the name of the operation that a method and a request target ask for, if there is one
 */
type OperationFinder = (method: string, target: string) => string | undefined

interface Pattern {
  readonly name: string
  readonly segments: readonly string[]
  readonly query: readonly string[]
}

/** The patterns are read on the first call: most servers are never asked for what they lack. */
export function createOperationFinder(operations: AwsOperations): OperationFinder {
  let index: ReadonlyMap<string, readonly Pattern[]> | undefined
  return (method, target) => {
    index ??= indexOf(operations)
    const { segments, query } = split(target)
    const candidates = index.get(keyOf(method, segments)) ?? []
    return candidates.find((pattern) => matches(pattern, segments, query))?.name
  }
}

/**
 * By method and first segment, which is no label; of two that match, the closer one comes first.
 */
function indexOf(operations: AwsOperations): ReadonlyMap<string, readonly Pattern[]> {
  const index = new Map<string, Pattern[]>()
  for (const [name, operation] of Object.entries(operations)) {
    const [method = '', uri = ''] = operation.split(' ')
    const pattern = { name, ...split(uri) }
    const key = keyOf(method, pattern.segments)
    index.set(key, [...(index.get(key) ?? []), pattern].toSorted(byCloseness))
  }
  return index
}

function byCloseness(left: Pattern, right: Pattern): number {
  const labels = ({ segments }: Pattern) => segments.filter(isLabel).length
  return labels(left) - labels(right) || right.query.length - left.query.length
}

function matches(
  { segments: wanted, query: wantedQuery }: Pattern,
  segments: readonly string[],
  query: readonly string[],
): boolean {
  const endsInRest = wanted.at(-1)?.endsWith('+}') === true
  const isLong = endsInRest ? segments.length >= wanted.length : segments.length === wanted.length
  if (!isLong || !wantedQuery.every((part) => query.includes(part))) return false
  return wanted.every((segment, index) =>
    isLabel(segment) ? segments[index] !== '' : segments[index] === segment,
  )
}

const isLabel = (segment: string) => segment.startsWith('{')
const keyOf = (method: string, [first = '']: readonly string[]) => `${method} ${first}`

/** AWS's clients disagree about a slash at the end of a path, so it does not count. */
function split(target: string): Omit<Pattern, 'name'> {
  const [path = '', query = ''] = target.split('?', 2)
  const segments = path.replace(/\/$/, '').split('/').slice(1)
  return { segments, query: query.split('&').filter((part) => part !== '') }
}
