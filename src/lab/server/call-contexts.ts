import { createBoundedMap } from '../../base/bounded-map.ts'
import { createAccountSettings } from '../kinesis-operations/account-settings.ts'
import type { AccountSettings } from '../kinesis-operations/account-settings.ts'
import type { OperationContext } from '../kinesis-operations/operation.ts'
import { openIterator } from '../streams/iterators.ts'
import type { ShardIterator } from '../streams/iterators.ts'
import { isRegion, parseStreamArn } from '../streams/namespace.ts'
import type { Namespace } from '../streams/namespace.ts'
import type { StreamNamespaces } from '../streams/stream-namespaces.ts'
import { regionOf } from '../wire/lab-http.ts'
import type { LabRequest } from '../wire/lab-http.ts'

/**
 * The namespace that a call works in, and its context.
 *
 * - The region is the one that the call is signed for. An endpoint of AWS is in one region; this
 *   one is in all of them.
 * - The account is the one in the ARN that the call names. Without an ARN it is the lab's own
 *   account, whatever role the caller has assumed.
 * - An unsigned call, or one for a region without a proper name, is in the region of the ARN, or in
 *   that of the lab.
 */
export interface CallContexts {
  /** The account and the region of the lab. */
  readonly home: Namespace
  contextOf(request: LabRequest, input: Readonly<Record<string, unknown>>): OperationContext
  /** The iterator of a call, if it has one that this lab made. */
  iteratorIn(input: Readonly<Record<string, unknown>>): ShardIterator | undefined
}

interface CallContextsDependencies {
  readonly home: Namespace
  readonly namespaces: Pick<StreamNamespaces, 'in' | 'findCreated'>
  readonly shared: Pick<OperationContext, 'clock' | 'tokens' | 'faults' | 'limits'>
  /** Creates a stream to which a record is put, where the lab was told to. */
  readonly makeStream: ((streams: OperationContext['streams'], name: string) => void) | undefined
}

/** Namespaces whose context is remembered. */
const contextsRememberedMax = 100
/** Namespaces whose account settings are kept; beyond it the oldest are those of a new account. */
const accountsMax = 10_000

export function createCallContexts(dependencies: CallContextsDependencies): CallContexts {
  const { home, namespaces, shared, makeStream } = dependencies
  const contexts = createBoundedMap<string, OperationContext>(contextsRememberedMax)

  const accounts = createBoundedMap<string, AccountSettings>(accountsMax)

  function contextIn(namespace: Namespace): OperationContext {
    return contexts.getOrMake(`${namespace.accountId} ${namespace.region}`, (key) => {
      const streams = namespaces.in(namespace)
      return {
        ...shared,
        ...namespace,
        account: accounts.getOrMake(key, () => createAccountSettings(shared.clock)),
        streams,
        streamForPut(name) {
          makeStream?.(streams, name)
          return streams.get(name)
        },
      }
    })
  }

  function iteratorIn({
    ShardIterator: sealed,
  }: Readonly<Record<string, unknown>>): ShardIterator | undefined {
    if (typeof sealed !== 'string') return undefined
    try {
      return openIterator(shared.tokens, sealed)
    } catch {
      return undefined
    }
  }

  /** What the call names: the ARN of a stream or of a consumer, or an iterator of a stream. */
  function namedIn(input: Readonly<Record<string, unknown>>): Namespace | undefined {
    const arn = input['StreamARN'] ?? input['ConsumerARN'] ?? input['ResourceARN']
    if (typeof arn === 'string') return parseStreamArn(arn)
    const iterator = iteratorIn(input)
    const stream = iterator && namespaces.findCreated(iterator.streamCreatedMs)
    return stream && parseStreamArn(stream.arn)
  }

  return {
    home,
    iteratorIn,
    contextOf(request, input) {
      const named = namedIn(input) ?? home
      const signed = regionOf(request.headers)
      const region = isRegion(signed) ? signed : named.region
      return contextIn({ accountId: named.accountId, region })
    },
  }
}
