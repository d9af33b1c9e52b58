import type { Message } from '../message.ts'
import type { JobsRequestTopic } from '../topics/reserved-request.ts'
import { directAnswer, textOfRequest } from './direct-answer.ts'

/** UTF-8 bytes of a client token [AWS IoT API Reference, "DescribeJobExecution" over MQTT]. */
const clientTokenBytesMax = 64

/**
 * Answers a request to AWS IoT Jobs as it answers a thing that has no jobs: Sluice has none. Such
 * answers reach only the client that asked [AWS IoT Developer Guide, "Jobs device MQTT API
 * operations"]; times are in seconds.
 */
export function answerToJobsRequest(
  { thingName, request }: JobsRequestTopic,
  message: Message,
): Message | undefined {
  const clientToken = tokenOf(message)
  const timestamp = Math.floor(message.timestampMs / 1_000)
  const answer = (suffix: string, document: Readonly<Record<string, unknown>>) =>
    directAnswer(message, `$aws/things/${thingName}/jobs/${request}/${suffix}`, {
      ...document,
      timestamp,
      clientToken,
    })

  switch (request) {
    case 'get':
      return answer('accepted', { inProgressJobs: [], queuedJobs: [] })
    case 'start-next':
    case '$next/get':
      return answer('accepted', {})
    default:
      return answer('rejected', problemOf(request))
  }
}

function tokenOf(message: Message): string | undefined {
  const token = textOfRequest(message, 'clientToken')
  return token !== undefined && Buffer.byteLength(token) <= clientTokenBytesMax ? token : undefined
}

function problemOf(request: string) {
  const jobId = /^([a-zA-Z0-9_-]{1,64})\/(?:get|update)$/.exec(request)?.[1]
  return jobId === undefined
    ? { code: 'InvalidTopic', message: 'The topic is not one of AWS IoT Jobs.' }
    : { code: 'ResourceNotFound', message: `The thing has no job ${jobId}.` }
}
