import { defineConfig, mergeConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** `npm run test:kafka`: what the kafka action writes to a broker of Apache Kafka. */
export default mergeConfig(
  { ...config, test: { ...config.test, projects: undefined } },
  defineConfig({
    test: {
      include: ['test/apache-kafka/**/*.test.ts'],
      testTimeout: 120_000,
      // The names of skipped tests say why they are.
      reporters: ['verbose'],
    },
  }),
)
