import type { Message } from '../message.ts'
import { parseReservedRequest } from '../topics/reserved-request.ts'
import { answerOfAbsentService } from './absent-services.ts'
import { answerToJobsRequest } from './jobs-answers.ts'
import type { Shadows } from './shadows/shadows.ts'

/**
 * The services of AWS IoT that devices reach by reserved topics [AWS IoT Developer Guide, "Reserved
 * topics"]. Rules and subscribers see the requests as any message; this answers them.
 */
export interface DeviceServices {
  /** @returns undefined when the message is no request */
  answer(request: Message): ServiceAnswers | Promise<ServiceAnswers> | undefined
}

interface ServiceAnswers {
  readonly messages: readonly Message[]
  /** Resolves when what the request changed is on disk; undefined when nothing changed. */
  readonly durable: Promise<void> | undefined
}

export function createDeviceServices({
  shadows,
}: {
  readonly shadows: Pick<Shadows, 'answer'>
}): DeviceServices {
  return {
    answer(request) {
      const topic = parseReservedRequest(request.topic)
      if (topic === undefined) return undefined
      if (topic.service === 'shadow') return shadows.answer(topic, request)
      const answer =
        topic.service === 'jobs'
          ? answerToJobsRequest(topic, request)
          : answerOfAbsentService(topic, request)
      return { messages: answer === undefined ? [] : [answer], durable: undefined }
    },
  }
}
