import { createBoundedMap } from '../base/bounded-map.ts'
import { shorten } from '../base/errors.ts'
import type { Destination } from '../outbox/outbox.ts'
import type { ActionContext } from './action.ts'

/** Of a text from outside, in a message. */
const shownCharactersMax = 140

/**
 * From the name of a stream, or its ARN, to the destination of a record.
 *
 * Destinations are made once and handed in again and again, which spares the outbox the comparison
 * of their members.
 */
interface StreamTarget {
  /** The destination, or a sentence that says why there is none. */
  destinationOf(stream: string): Destination | string
}

/** Kinesis API Reference, PutRecord: StreamName, StreamARN. */
const streamNamePattern = /^[a-zA-Z0-9_.-]{1,128}$/
const streamArnPattern =
  /^arn:aws[a-z-]*:kinesis:([a-z]{2}(?:-[a-z]+)+-[0-9]):[0-9]{12}:stream\/([a-zA-Z0-9_.-]{1,128})$/

/** Streams of one action that are remembered: a template can name any number of them. */
const rememberedMax = 1_000

export function createStreamTarget(
  roleArn: string,
  { region, delivery }: Pick<ActionContext, 'region' | 'delivery'>,
): StreamTarget {
  const remembered = createBoundedMap<string, Destination>(rememberedMax)
  const { endpoint, externalId, settings } = delivery
  const credentials: Destination['credentials'] =
    delivery.credentials === 'process'
      ? { kind: 'process' }
      : { kind: 'role', roleArn, ...(externalId === undefined ? {} : { externalId }) }
  const shared = {
    credentials: Object.freeze(credentials),
    settings,
    ...(endpoint === undefined ? {} : { endpoint }),
  }

  const find = (stream: string): Destination | string => {
    if (!stream.startsWith('arn:')) {
      if (!streamNamePattern.test(stream)) return notAName(stream)
      return { region: delivery.region ?? region, streamName: stream, ...shared }
    }
    const [, arnRegion, streamName] = streamArnPattern.exec(stream) ?? []
    if (arnRegion === undefined || streamName === undefined) return notAnArn(stream)
    if (delivery.region !== undefined && delivery.region !== arnRegion) {
      return `"${stream}" is in ${arnRegion}, and the delivery settings say ${delivery.region}`
    }
    return { region: arnRegion, streamName, streamArn: stream, ...shared }
  }

  return {
    destinationOf(stream) {
      const known = remembered.get(stream)
      if (known) return known
      const found = find(stream)
      if (typeof found === 'string') return found
      remembered.set(stream, Object.freeze(found))
      return found
    },
  }
}

function notAName(text: string): string {
  return `"${shorten(text, shownCharactersMax)}" is not a stream name: 1 to 128 letters, digits, ".", "_" or "-"`
}

function notAnArn(text: string): string {
  return (
    `"${shorten(text, shownCharactersMax)}" is not the ARN of a stream: ` +
    'arn:aws:kinesis:<region>:<12 digits>:stream/<name>'
  )
}
