import { defineConfig } from 'vitest/config'

/**
 * Tests that spend their time on starts of the shell, of npm and of the commands. Those of what is
 * durable run with all others.
 */
export const processTests = [
  'test/docs/command-blocks.test.ts',
  'test/e2e/!(crash|kept-crash|earlier-data-folders|flush-*).test.ts',
]

/** Tests that call each operation with AWS's own clients, and take long for it. */
export const awsClientTests = [
  'test/http/declared-errors.test.ts',
  'test/http/lambda/function-routes.test.ts',
]

/** Rooms whose tests start processes or change what belongs to their own process. */
const roomsWithProcesses = ['cli', 'docs', 'e2e', 'release'].map((room) => `test/${room}/**`)

const others = [
  'test/long/**',
  'test/console/**',
  'test/moto/**',
  'test/clients/**',
  'test/apache-kafka/**',
  'test/cluster/nats/**',
  ...processTests,
  ...awsClientTests,
]

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        // So that a process loads what they test once, instead of once for each file.
        test: {
          name: 'one process',
          include: ['test/**/*.test.ts'],
          exclude: [...others, ...roomsWithProcesses],
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'a process each',
          include: roomsWithProcesses.map((room) => `${room}/*.test.ts`),
          exclude: others,
        },
      },
    ],
    setupFiles: ['test/helpers/each-file.ts'],
    testTimeout: 20_000,
    // The tests wait for disks and sockets more than they compute.
    maxWorkers: '100%',
    // As scripts/build.mjs defines it for the bundle.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
  },
})
