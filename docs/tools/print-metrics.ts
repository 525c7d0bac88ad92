import { writeFileSync } from 'node:fs'
import { metricsFile, metricsPage } from './metrics-page.ts'

/** Writes docs/metrics.md from the metrics that the processes register: `npm run docs:metrics`. */
writeFileSync(metricsFile, await metricsPage())
