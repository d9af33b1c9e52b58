import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { InspectionOfThread } from '../../lab/worker/lab-worker.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer } from '../server/operation.ts'
import { ruleReadErrors } from './sluice-api.ts'

/** What the API shows of the lab; absent with `sluice start`. */
export interface LabDependencies {
  readonly inspection?: InspectionOfThread | undefined
}

const params = Type.Object({ faultId: Type.String({ pattern: '^[0-9]{1,15}$' }) })
const ruleSchema = Type.Unknown({
  description: 'Selectors and an `effect`, as docs/LAB.md describes them.',
})
const faultSchema = Type.Object({
  id: Type.String(),
  rule: ruleSchema,
  appliedCount: Type.Integer({ description: 'How often it has applied.' }),
  remainingCount: Type.Optional(
    Type.Integer({ description: 'How often it can still apply; absent without a limit.' }),
  ),
})

const listLabFaults = {
  operation: {
    id: 'ListLabFaults',
    summary: 'Lists the fault rules of the lab in the order in which they are tried.',
    answer: {
      description: 'All rules, including those that are used up.',
      schema: Type.Object({ faults: Type.Array(faultSchema) }),
    },
    errors: ['ResourceNotFoundException', 'InternalException'],
  },
} satisfies FastifySchema

const addLabFault = {
  operation: {
    id: 'AddLabFault',
    summary: 'Adds a fault rule, which makes the local Kinesis or STS fail.',
    body: { schema: ruleSchema },
    answer: { status: 201, description: 'The rule with its id.', schema: faultSchema },
    errors: [...ruleReadErrors, 'LimitExceededException'],
  },
} satisfies FastifySchema

const removeLabFault = {
  params,
  operation: {
    id: 'RemoveLabFault',
    summary: 'Removes a fault rule.',
    answer: emptyAnswer,
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

const removeLabFaults = {
  operation: {
    id: 'RemoveLabFaults',
    summary: 'Removes all fault rules.',
    answer: emptyAnswer,
    errors: ['ResourceNotFoundException', 'InternalException'],
  },
} satisfies FastifySchema

/** The same rules as at `/_faults` of the lab's own port. */
export function addLabFaultRoutes(app: HttpApp, { inspection: lab }: LabDependencies): void {
  app.get('/v1/lab/faults', { schema: listLabFaults }, async () => ({
    faults: await existing(lab).faults(),
  }))

  app.post('/v1/lab/faults', { schema: addLabFault }, async (request, reply) => {
    const fault = await existing(lab).addFault(bodyJson(request))
    return reply.status(201).send(fault)
  })

  app.delete('/v1/lab/faults/:faultId', { schema: removeLabFault }, async (request, reply) => {
    await existing(lab).removeFault(request.params.faultId)
    return reply.send()
  })

  app.delete('/v1/lab/faults', { schema: removeLabFaults }, async (_request, reply) => {
    await existing(lab).removeFaults()
    return reply.send()
  })
}

/** @throws SluiceError ResourceNotFoundException */
function existing(lab: InspectionOfThread | undefined): InspectionOfThread {
  if (lab) return lab
  throw new SluiceError(
    'ResourceNotFoundException',
    'There is no lab: `sluice start` sends to AWS. Only `sluice lab` has fault rules.',
  )
}
