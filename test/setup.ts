import { afterEach } from 'vitest'

// An unhandled rejection or a process warning about listeners is a defect of what ran, not noise.
const warnings: Error[] = []
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') warnings.push(warning)
})

afterEach(() => {
  const [warning] = warnings.splice(0)
  if (warning !== undefined) throw warning
})
