import { defineConfig } from 'vitest/config'

// `npm run test:cluster`: every suite starts the real servers that it needs (test/servers), so one at a time.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    // The first run builds what is not in the cache; InfluxDB takes minutes.
    hookTimeout: 1_800_000,
    setupFiles: ['test/setup.ts'],
    include: ['test/**/*.cluster.test.ts'],
  },
})
