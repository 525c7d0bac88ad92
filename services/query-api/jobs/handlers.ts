import type { ApiParts } from '../api.ts'
import { DELETE_READINGS, deleteReadings } from './delete-readings.ts'
import type { JobHandlers } from './job-runner.ts'

/** Every kind of job, and who does it. */
export function jobHandlers(options: ApiParts<'log' | 'points' | 'registry'>): JobHandlers {
  return { [DELETE_READINGS]: deleteReadings(options) }
}
