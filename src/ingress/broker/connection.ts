import type { Peer, Permissions } from '../../identity/policies/access.ts'
import { createAnswerQueue } from './answer-queue.ts'
import type { AnswerQueue } from './answer-queue.ts'
import type { Gate } from '../gate/gate.ts'
import type { HeldPublish } from '../gate/held-bytes.ts'
import { createReceivedIds } from '../kept/received-ids.ts'
import type { ReceivedIds } from '../kept/received-ids.ts'
import type { Session } from '../kept/sessions.ts'

/** What is kept for one network connection, beside Aedes' client. */
export interface Connection {
  readonly gate: Gate
  readonly peer: Peer
  /** Set when its CONNECT is admitted; until then it may do nothing. */
  permissions: Permissions | undefined
  /** Of its CONNECT: what has to be allowed before it is admitted. */
  will: { readonly topic: string; readonly retain: boolean } | undefined
  /** It tried to publish what it may not: nothing behind that is taken any more. */
  isForbidden: boolean
  /** Of the filters of its session, some are not allowed any more. */
  hasLostFilters: boolean
  readonly answers: AnswerQueue
  /** Those of the session: of the connection alone until the client resumes a session. */
  received: ReceivedIds
  /**
   * The PUBLISHes that Aedes has been let to answer and did not distribute yet: by their packets, for
   * the next of the same packet id may come before this one is looked for. Those that Aedes drops,
   * because the connection goes before they are answered, stay here and go with it. A `Map` that
   * takes and gives back thousands a second would make old garbage of them: V8 links the tables that
   * it has outgrown, and the first that is old keeps what is in the next ones.
   */
  readonly undistributed: WeakMap<object, HeldPublish>
  /** The filters that the client may stand subscribed to. */
  readonly filters: Set<string>
  /** Where the client asked to keep its session. */
  session: Session | undefined
  keepAliveSeconds: number
  /** Why the CONNECT is to be answered "identifier rejected". */
  identifierFault: string | undefined
  /** Counted in the gauge of connections. */
  counted: boolean
  closed: boolean
  /** The client has gone, or has closed its side and sends nothing more. */
  hasGone: boolean
  /** Called then, where something waits on behalf of the client. */
  onGone: (() => void) | undefined
  /** Its will is not to be published. */
  isWillPrevented: boolean
  /** Aedes has ended it for a fault, which is reported. */
  faulted: boolean
}

export function createConnection(gate: Gate, peer: Peer): Connection {
  return {
    gate,
    peer,
    permissions: undefined,
    will: undefined,
    isForbidden: false,
    hasLostFilters: false,
    answers: createAnswerQueue(),
    received: createReceivedIds(),
    undistributed: new WeakMap(),
    filters: new Set(),
    session: undefined,
    keepAliveSeconds: 0,
    identifierFault: undefined,
    counted: false,
    closed: false,
    hasGone: false,
    onGone: undefined,
    isWillPrevented: false,
    faulted: false,
  }
}

/** An IPv4 address that came in as IPv4-mapped IPv6 (`::ffff:192.0.2.1`) as what it is. */
export function normalizeAddress(address: string | undefined): string | undefined {
  const mapped = address?.match(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/i)
  return mapped?.[1] ?? address
}
