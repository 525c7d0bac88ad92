import { Counter, Histogram } from 'prom-client'
import { LATENCY_BUCKETS, type Metrics } from '../process/metrics.ts'
import type { RedisRole } from './policy.ts'

const SECONDS = 'sluice_redis_request_seconds'
const FAILED = 'sluice_redis_failed_requests_total'

/** What is told of the requests to one Redis. */
export interface RedisMetrics {
  answered(seconds: number): void
  failed(seconds: number): void
}

/** A process may have one Redis of each role: they share the metrics. */
export function redisMetrics(metrics: Metrics, role: RedisRole): RedisMetrics {
  const seconds = (metrics.getSingleMetric(SECONDS) ?? secondsIn(metrics)) as Histogram<'role'>
  const failed = (metrics.getSingleMetric(FAILED) ?? failedIn(metrics)) as Counter<'role'>
  failed.inc({ role }, 0)
  return {
    answered: (took) => seconds.observe({ role }, took),
    failed(took) {
      seconds.observe({ role }, took)
      failed.inc({ role })
    },
  }
}

function secondsIn(metrics: Metrics): Histogram<'role'> {
  return new Histogram({
    name: SECONDS,
    help: 'Time from a request to Redis (sessions, cache) to its answer, or until it is given up',
    labelNames: ['role'],
    buckets: LATENCY_BUCKETS,
    registers: [metrics],
  })
}

function failedIn(metrics: Metrics): Counter<'role'> {
  return new Counter({
    name: FAILED,
    help: 'Requests to Redis that were refused or not answered in time',
    labelNames: ['role'],
    registers: [metrics],
  })
}
