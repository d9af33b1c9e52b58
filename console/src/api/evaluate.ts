import { call } from './engine.ts'

/** A part of a condition with its value. */
export interface WherePart {
  readonly text: string
  readonly value: { readonly type: string; readonly json?: string }
  readonly note?: string
  readonly parts: readonly WherePart[]
}

/** What one record, call or message of an action would be: the kind of the action, and members. */
export type EvaluatedAction = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export interface EvaluationError {
  readonly code: string
  readonly message: string
  readonly where: string
}

/** The answer of `POST /v1/evaluate`. */
export interface Evaluation {
  readonly matched: boolean
  readonly where?: WherePart
  readonly noMatch?: {
    readonly reason: 'topic' | 'where' | 'externalFunction' | 'failed'
    readonly message: string
    readonly where?: WherePart
  }
  /** Absent when the output is no JSON. Long numbers are rounded: `outputBase64` has all digits. */
  readonly output?: unknown
  readonly outputBase64?: string
  readonly actions: readonly EvaluatedAction[]
  readonly templates: readonly (string | null)[]
  readonly errors: readonly EvaluationError[]
}

/** A message as `POST /v1/evaluate` and the tests beside a rule take it. */
export interface MessageRequest {
  readonly topic: string
  readonly payloadBase64: string
  readonly clientId?: string
  readonly qos?: 0 | 1 | 2
  readonly timestamp?: number
  readonly traceId?: string
  readonly accountId?: string
  readonly mqtt5?: {
    readonly contentType?: string
    readonly userProperties?: readonly (readonly [string, string])[]
  }
}

/** The rule to try: a payload, or the name of a stored rule; with both, the payload under it. */
export interface TriedRule {
  readonly topicRulePayload?: unknown
  readonly ruleName?: string | undefined
}

export const evaluate = (
  rule: TriedRule,
  message: MessageRequest,
  options: { readonly templates?: readonly string[]; readonly signal?: AbortSignal } = {},
): Promise<Evaluation> => {
  const { signal, templates } = options
  return call<Evaluation>({
    method: 'POST',
    path: '/v1/evaluate',
    body: { ...rule, message, ...(templates && { templates }) },
    ...(signal && { signal }),
  })
}

/** Tries up to 100 messages; no external function is called. */
export async function evaluateSeveral(
  rule: TriedRule,
  messages: readonly MessageRequest[],
  signal: AbortSignal,
): Promise<readonly Evaluation[]> {
  const body = { ...rule, messages }
  const { evaluations } = await call<{ readonly evaluations: readonly Evaluation[] }>({
    method: 'POST',
    path: '/v1/evaluate',
    body,
    signal,
  })
  return evaluations
}
