import { Type } from 'typebox'
import { optionalTemplate, template } from '../action/action-template.ts'
import { closed, optionalTextType, roleArnType, textType } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { decimalNumber, lengthBetween, oneOf } from '../action/text-checks.ts'

/** Amazon CloudWatch API Reference, MetricDatum: Unit. */
const dataUnits = ['Bytes', 'Kilobytes', 'Megabytes', 'Gigabytes', 'Terabytes'].flatMap((unit) => [
  unit,
  unit.replace('yte', 'it'),
])
const units = [
  'Seconds',
  'Microseconds',
  'Milliseconds',
  'Percent',
  'Count',
  'Count/Second',
  'None',
  ...dataUnits,
  ...dataUnits.map((unit) => `${unit}/Second`),
]
const nameLength = lengthBetween(1, 255)

/** Puts one value of a metric without dimensions. The output of the rule is not used. */
export const cloudwatchMetricAction = serviceAction({
  kind: 'cloudwatchMetric',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      metricNamespace: textType,
      metricName: textType,
      metricValue: textType,
      metricUnit: textType,
      metricTimestamp: optionalTextType,
    },
    closed,
  ),
  plan: ({ roleArn, ...definition }) =>
    actionPlan({
      roleArn,
      templates: {
        metricNamespace: template(definition.metricNamespace, namespaceProblem),
        metricName: template(definition.metricName, nameLength),
        metricValue: template(definition.metricValue, decimalNumber),
        metricUnit: template(definition.metricUnit, oneOf(units)),
        metricTimestamp: optionalTemplate(definition.metricTimestamp, decimalNumber),
      },
      target: (texts) => texts.metricNamespace,
      call: (texts, { source }) => ({
        operation: 'PutMetricData',
        parameters: {
          Namespace: texts.metricNamespace,
          MetricData: [
            {
              MetricName: texts.metricName,
              Value: Number(texts.metricValue),
              Unit: texts.metricUnit,
              Timestamp: Number(texts.metricTimestamp ?? source.timestampMs / 1_000),
            },
          ],
        },
      }),
    }),
})

function namespaceProblem(namespace: string): string | undefined {
  if (namespace.startsWith(':')) return 'a namespace does not begin with a colon'
  if (namespace.startsWith('AWS/')) return 'namespaces that begin with AWS/ are those of AWS'
  return nameLength(namespace)
}
