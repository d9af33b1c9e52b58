import { Type } from 'typebox'
import { closed, regionOfArn, textType } from '../action/field-types.ts'
import { jsonProblem } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { template } from '../action/action-template.ts'
import { matching } from '../action/text-checks.ts'

const functionArn = matching(
  /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[a-zA-Z0-9-_]{1,64}(?::(?:\$LATEST|[a-zA-Z0-9-_]{1,128}))?$/,
  'the ARN of a function: arn:aws:lambda:<region>:<12 digits>:function:<name>, with a version or an alias',
)

/**
 * Invokes a function asynchronously. The event is the output of the rule, without an envelope. On
 * AWS the function's own policy lets AWS IoT invoke it, so the action has no role.
 */
export const lambdaAction = serviceAction({
  kind: 'lambda',
  schema: Type.Object({ functionArn: textType }, closed),
  plan: (definition) =>
    actionPlan({
      templates: { functionArn: template(definition.functionArn, functionArn) },
      target: (texts) => texts.functionArn,
      region: regionOfArn,
      call(texts, { output }) {
        const problem = jsonProblem(output)
        if (problem !== undefined) return { problem }
        return {
          operation: 'Invoke',
          parameters: { FunctionName: texts.functionArn, InvocationType: 'Event' },
          body: { member: 'Payload', as: 'bytes' },
        }
      },
    }),
})
