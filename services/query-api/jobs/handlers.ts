import type { ApiParts } from '../api.ts'
import { DELETE_READINGS, deleteReadings } from './delete-readings.ts'
import { DISCARD_LETTERS, discardLetters } from './discard-letters.ts'
import type { JobHandlers } from './job-runner.ts'
import { REPLAY_LETTERS, replayLetters } from './replay-letters.ts'
import { REREAD_TIMES, rereadTimes } from './reread-times.ts'
import { REWRITE_TYPES, rewriteTypes } from './rewrite-types.ts'

/** Every kind of job, and who does it. */
export function jobHandlers(options: ApiParts<'log' | 'points' | 'registry' | 'uploaded'>): JobHandlers {
  return {
    [DELETE_READINGS]: deleteReadings(options),
    [REPLAY_LETTERS]: replayLetters(options),
    [REWRITE_TYPES]: rewriteTypes(options),
    [DISCARD_LETTERS]: discardLetters(options),
    [REREAD_TIMES]: rereadTimes(options),
  }
}
