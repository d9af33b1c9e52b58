import { Type } from 'typebox'
import { optionalTemplate, template } from '../action/action-template.ts'
import {
  accountOfRole,
  closed,
  optionalTextType,
  partitionOfArn,
  roleArnType,
  textType,
} from '../action/field-types.ts'
import { jsonProblem } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { matching } from '../action/text-checks.ts'

/** AWS Step Functions API Reference, StartExecution. */
const stateMachineName = matching(
  /^[a-zA-Z0-9_-]{1,80}$/,
  'the name of a state machine: 1 to 80 letters, digits, "_" or "-" (not its ARN)',
)
/** An execution's name has 80 characters at most, and the UUID after the prefix has 36. */
const prefixCharactersMax = 44
const executionNamePrefix = matching(
  new RegExp(`^[a-zA-Z0-9_-]{0,${prefixCharactersMax}}$`),
  `the beginning of an execution's name: up to ${prefixCharactersMax} letters, digits, "_" or "-"`,
)
const inputCharactersMax = 262_144

/** Starts an execution whose input is the output of the rule. */
export const stepFunctionsAction = serviceAction({
  kind: 'stepFunctions',
  schema: Type.Object(
    { roleArn: roleArnType, stateMachineName: textType, executionNamePrefix: optionalTextType },
    closed,
  ),
  plan: ({ roleArn, ...definition }, { region }) =>
    actionPlan({
      roleArn,
      templates: {
        stateMachineName: template(definition.stateMachineName, stateMachineName),
        executionNamePrefix: optionalTemplate(definition.executionNamePrefix, executionNamePrefix),
      },
      target: (texts) => texts.stateMachineName,
      call(texts, { output, newUuid }) {
        const input = output.toString()
        if (input.length > inputCharactersMax) {
          return {
            problem: `the input has ${input.length} characters; Step Functions takes ${inputCharactersMax}`,
          }
        }
        const problem = jsonProblem(output)
        if (problem !== undefined) return { problem }
        const owner = `${partitionOfArn(roleArn)}:states:${region}:${accountOfRole(roleArn)}`
        return {
          operation: 'StartExecution',
          parameters: {
            stateMachineArn: `arn:${owner}:stateMachine:${texts.stateMachineName}`,
            // A name of its own makes a call that is sent again start no second execution.
            name: `${texts.executionNamePrefix ?? ''}${newUuid()}`,
          },
          body: { member: 'input', as: 'text' },
        }
      },
    }),
})
