/**
 * `audit verify`: whether the log is what was written.
 */
import { verify } from '../audit/verify.ts'
import { shownPath } from './config.ts'
import { CommandExit, CommandFailure, EXIT, type Format, print, printJson } from './output.ts'

export async function auditVerify(files: readonly string[], format: Format): Promise<void> {
  const result = await verified(files)
  const problems = result.problems.map(problem => ({ ...problem, file: shownPath(problem.file) }))
  if (format === 'json') printJson({ ...result, problems })
  else {
    for (const { file, line, seq, kind } of problems)
      print(`${file}:${line}: ${kind}${seq === null ? '' : ` (record ${seq})`}`)
    if (!result.anchored)
      print('There is no head file beside it: that nothing is missing at the end cannot be told.')
    print(`${result.records} records, ${result.ok ? 'the chain is whole' : `${problems.length} problems`}`)
  }
  if (!result.ok) throw new CommandExit(EXIT.findings)
}

async function verified(files: readonly string[]): ReturnType<typeof verify> {
  try {
    return await verify(files)
  } catch (error) {
    throw new CommandFailure(EXIT.failure, `cannot read the log: ${(error as Error).message}`)
  }
}
