import { Type } from 'typebox'
import { closed } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'

/** AWS IoT API Reference, SalesforceAction: the URL of an input stream. */
const urlPattern =
  '^https://ingestion-[a-zA-Z0-9]{1,12}\\.[a-zA-Z0-9]+\\.(sfdc-matrix\\.net|sfdcnow\\.com)/streams/\\w{1,20}/\\w{1,20}/event$'

/** Posts the output of the rule to an input stream of Salesforce IoT. It takes no templates. */
export const salesforceAction = serviceAction({
  kind: 'salesforce',
  schema: Type.Object(
    {
      token: Type.String({ minLength: 40 }),
      url: Type.String({ maxLength: 2_000, pattern: urlPattern }),
    },
    closed,
  ),
  plan: ({ url }) =>
    actionPlan({
      templates: {},
      target: () => url,
      // The token stays in the rule: calls are shown and kept where secrets do not belong.
      call: () => ({
        operation: 'POST',
        parameters: { url },
        body: { member: 'body', as: 'text' },
      }),
    }),
})
