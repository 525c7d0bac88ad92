import type { LetterSources } from '../replay/noted-letters.ts'
import type { JobHandler } from './job-runner.ts'
import { goThroughLetters, type NotedLetter } from './letters-job.ts'

export const DISCARD_LETTERS = 'letters discard'

/** Notes that letters are to be left as they are. They stay in the log, and can be listed, until its retention removes them. */
export function discardLetters(sources: LetterSources): JobHandler {
  return {
    async run(run) {
      const counts = await goThroughLetters(sources, run, async (letters) => {
        const open = letters.filter(isOpen)
        const notes = open.map(({ id, note }) => ({ id, state: 'discarded' as const, tries: note?.tries ?? 0 }))
        return { notes, counts: { letters: open.length, skipped: letters.length - open.length } }
      })
      return { counts, progress: 'Every letter that was asked for was looked at.' }
    },
    cancelled: async () => 'What was discarded so far stays so.',
  }
}

/** Nothing was done about it that settles it. */
export function isOpen({ note, isAgain }: NotedLetter): boolean {
  return isAgain || (note?.state !== 'replayed' && note?.state !== 'discarded')
}
