import { SluiceError } from '../../base/errors.ts'
import { findTopicTextFault } from '../../topics/topic.ts'

/** How long and how deep it may be is for the broker to say. */
const limits = { topicBytesMax: 65_535, topicSlashesMax: 65_535 }

/** @returns why MQTT has no such topic to publish to; undefined for a good one */
export function topicFault(topic: string): string | undefined {
  const fault = findTopicTextFault(topic, limits)
  // Which topics are its own is for the broker to say, too.
  return fault?.reason === 'topic_invalid' ? fault.detail : undefined
}

/** @throws SluiceError InvalidRequestException */
export function checkTopic(topic: string): void {
  const fault = topicFault(topic)
  if (fault === undefined) return
  throw new SluiceError('InvalidRequestException', `topic "${topic}": ${fault}`)
}
