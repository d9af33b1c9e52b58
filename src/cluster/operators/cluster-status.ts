/**
 * What operators see of a cluster, as any of its nodes sees it, with what is wrong in plain words.
 */
import { messageOf } from '../../base/errors.ts'
import { countsOfRows } from '../lanes/lane-ledger.ts'
import type { Lanes } from '../lanes/lanes.ts'
import { laneCount } from '../log/replicated-log.ts'
import { decodeAboutNode } from './about-node.ts'
import type { AboutNode } from './about-node.ts'

/** The stream of the log, as its leader tells. */
export interface LogStatus {
  readonly stream: string
  /** The NATS server that leads it. Undefined: none does. */
  readonly leader: string | undefined
  /** The other servers that have it. */
  readonly followers: readonly {
    readonly server: string
    readonly isOnline: boolean
    readonly isCurrent: boolean
    /** Messages that it is behind. */
    readonly lag: number
  }[]
  readonly replicas: number
  readonly bytes: number
  readonly bytesMax: number
  /** The server that this node is connected to. */
  readonly connectedTo: { readonly server: string; readonly version: string }
}

interface NodeStatus extends AboutNode {
  readonly node: string
  /** Since its last notice. */
  readonly silentMs: number
  readonly lanesOwned: number
}

interface LaneStatus {
  readonly lane: number
  /** Undefined: no live node delivers it. */
  readonly owner: string | undefined
  /** That wait for delivery, as the owner has last written. */
  readonly records: number
  readonly bytes: number
  /** Since the owner has last told of it. */
  readonly silentMs: number
}

export interface ClusterStatus {
  readonly cluster: string
  /** The node that answers. */
  readonly node: string
  readonly nodes: readonly NodeStatus[]
  readonly lanes: readonly LaneStatus[]
  /** Undefined: it cannot be asked now. */
  readonly log: LogStatus | undefined
  /** One sentence each. Empty: nothing is wrong. */
  readonly problems: readonly string[]
}

interface ClusterStatusDependencies {
  readonly lanes: Pick<Lanes, 'members' | 'views' | 'node' | 'isLost'>
  /** Undefined: the log has no servers. */
  readonly logStatus: (() => Promise<LogStatus>) | undefined
}

/** A stream that is fuller leaves little time to act. */
const fullShare = 0.8
const replicasWanted = 3

/** @returns tells how the cluster is now; never rejects */
export function createClusterStatus(
  { lanes, logStatus }: ClusterStatusDependencies,
  cluster: string,
): () => Promise<ClusterStatus> {
  return async () => {
    const { log, fault } = await askLog(logStatus)
    const views = lanes.views()
    const shown = views.map(({ lane, state, silentMs, isFree }) => ({
      lane,
      owner: isFree ? undefined : state?.owner,
      records: state === undefined ? 0 : countsOfRows(state.ledger).queued,
      bytes: state?.queuedBytes ?? 0,
      silentMs,
    }))
    const nodes = lanes.members().map(({ name, about, silentMs }) => ({
      node: name,
      ...decodeAboutNode(about),
      silentMs,
      lanesOwned: shown.filter(({ owner }) => owner === name).length,
    }))
    const unreadable = views.flatMap(({ lane, state }) => (state === undefined ? [lane] : []))
    return {
      cluster,
      node: lanes.node,
      nodes,
      lanes: shown,
      log,
      problems: [
        ...(lanes.isLost()
          ? ['This node has heard nothing from the log for some seconds: what it shows may be old.']
          : []),
        ...(fault === undefined ? [] : [`The log cannot be asked: ${fault}`]),
        ...problemsOfLanes(shown, unreadable),
        ...problemsOfNodes(nodes),
        ...(log === undefined ? [] : problemsOfLog(log)),
      ],
    }
  }
}

async function askLog(
  logStatus: (() => Promise<LogStatus>) | undefined,
): Promise<{ readonly log?: LogStatus; readonly fault?: string }> {
  if (logStatus === undefined) return {}
  try {
    return { log: await logStatus() }
  } catch (thrown) {
    return { fault: messageOf(thrown) }
  }
}

function problemsOfLanes(
  lanes: readonly LaneStatus[],
  unreadable: readonly number[],
): readonly string[] {
  if (lanes.length < laneCount) {
    return [`Only ${lanes.length} of ${laneCount} lanes are known yet: this node has just begun.`]
  }
  const free = lanes
    .filter(({ lane, owner }) => owner === undefined && !unreadable.includes(lane))
    .map(({ lane }) => lane)
  return [
    ...(free.length === 0
      ? []
      : [
          `${namesOf('Lane', free)} without a live owner: records wait there until a node takes over.`,
        ]),
    ...(unreadable.length === 0
      ? []
      : [
          `${namesOf('Lane', unreadable)} written by a later release, or damaged: upgrade this node.`,
        ]),
  ]
}

const namesOf = (noun: string, numbers: readonly number[]) =>
  numbers.length === 1 ? `${noun} ${numbers[0]} is` : `${noun}s ${numbers.join(', ')} are`

function problemsOfNodes(nodes: readonly NodeStatus[]): readonly string[] {
  const releases = [...new Set(nodes.map(({ release }) => release ?? 'unknown'))].toSorted()
  return releases.length > 1
    ? [`Nodes have different releases (${releases.join(', ')}): upgrade all to the same one.`]
    : []
}

function problemsOfLog(log: LogStatus): readonly string[] {
  const { stream, leader, followers, replicas, bytes, bytesMax } = log
  const share = bytesMax > 0 ? bytes / bytesMax : 0
  return [
    ...(leader === undefined
      ? [`Stream ${stream} has no leader: nothing is acknowledged until the servers elect one.`]
      : []),
    ...(replicas < replicasWanted
      ? [
          `Stream ${stream} has ${replicas === 1 ? 'one replica' : `${replicas} replicas`}: ` +
            `${replicasWanted} are needed to survive the loss of a server.`,
        ]
      : []),
    ...followers.flatMap(({ server, isOnline, isCurrent, lag }) => {
      if (!isOnline) return [`NATS server ${server} is offline.`]
      return isCurrent ? [] : [`NATS server ${server} is ${lag} messages behind.`]
    }),
    ...(share >= fullShare
      ? [
          `Stream ${stream} is ${Math.floor(share * 100)} % full: find out which destination does ` +
            'not take its records.',
        ]
      : []),
  ]
}
