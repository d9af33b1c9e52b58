import { Type } from 'typebox'
import { mqtt5Schema } from './message-request.ts'

/** The members of WherePart, whose `parts` have the same form. */
const wherePartSchema = Type.Object({
  text: Type.String({ description: 'The part as it stands in the statement.' }),
  line: Type.Integer(),
  column: Type.Integer(),
  value: Type.Object({
    type: Type.String({ description: 'A type of AWS IoT SQL, `Number`, or `Unknown`.' }),
    json: Type.Optional(
      Type.String({ description: 'The value as JSON, cut off when it is long.' }),
    ),
  }),
  note: Type.Optional(Type.String({ description: 'Why the value is what it is.' })),
  parts: Type.Array(Type.Unknown(), { description: 'Operands, each in this form again.' }),
})

const noMatchSchema = Type.Object({
  reason: Type.Enum(['topic', 'where', 'externalFunction', 'failed']),
  message: Type.String(),
  where: Type.Optional(wherePartSchema),
})

/** What a rule would do with one message. */
export const evaluationSchema = Type.Object({
  matched: Type.Boolean(),
  noMatch: Type.Optional(noMatchSchema),
  where: Type.Optional(wherePartSchema),
  output: Type.Optional(Type.Unknown({ description: 'The outgoing payload, when it is JSON.' })),
  outputBase64: Type.Optional(Type.String({ description: 'The exact bytes an action would get.' })),
  actions: Type.Array(
    Type.Object({
      kinesis: Type.Optional(
        Type.Object({
          streamName: Type.String(),
          partitionKey: Type.String(),
          explicitHashKey: Type.Optional(Type.String()),
          hashKey: Type.String({ description: 'The predicted 128-bit hash, decimal.' }),
          shardId: Type.Optional(
            Type.String({
              description:
                'The open shard of that hash. Absent: the shards are not known, and no call is ' +
                'made to learn them.',
            }),
          ),
        }),
      ),
      republish: Type.Optional(
        Type.Object({
          topic: Type.String(),
          qos: Type.Integer(),
          mqtt5: Type.Optional(mqtt5Schema),
        }),
      ),
    }),
  ),
  templates: Type.Array(Type.Union([Type.String(), Type.Null()]), {
    description: 'The expanded templates in the order given; null for a template that failed.',
  }),
  errors: Type.Array(
    Type.Object({ code: Type.String(), message: Type.String(), where: Type.String() }),
  ),
})
