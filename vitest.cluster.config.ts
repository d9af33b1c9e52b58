import { defineConfig, mergeConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** `npm run test:cluster`: the log and its checks against three NATS servers. */
export default mergeConfig(
  { ...config, test: { ...config.test, projects: undefined } },
  defineConfig({
    test: {
      include: ['test/cluster/nats/**/*.test.ts'],
      testTimeout: 120_000,
      hookTimeout: 60_000,
      // Servers of several files would fight for the disk.
      fileParallelism: false,
      // The names of skipped tests say why they are.
      reporters: ['verbose'],
    },
  }),
)
