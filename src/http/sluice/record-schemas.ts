import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { errorActionIndex } from '../../outbox/outbox.ts'

/** How `/v1` shows records: their counts, their destinations and the actions they come from. */
export const countSchema = Type.Integer({ minimum: 0 })

export const countsSchema = (...names: readonly string[]) =>
  Type.Object(Object.fromEntries(names.map((name): [string, TSchema] => [name, countSchema])))

export const destinationMembers = {
  region: Type.String(),
  streamName: Type.String(),
  streamArn: Type.Optional(Type.String()),
  endpoint: Type.Optional(Type.String()),
  credentials: Type.Unknown(),
  settings: Type.Unknown(),
}

export const actionSchema = Type.Union([Type.Integer(), Type.Literal('errorAction')], {
  description: 'The index of the action, or `errorAction`.',
})

/** @returns the action as `actionSchema` describes it */
export function actionOf(actionIndex: number): number | 'errorAction' {
  return actionIndex === errorActionIndex ? 'errorAction' : actionIndex
}
