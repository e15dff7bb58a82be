/** The five lines that a new user pastes: a whole script that sends its run to this server. */
export function firstLines(address: string): string {
  return [
    `import os; os.environ["KISEKI_BASE_URL"] = "${address}"`,
    "import kiseki",
    'run = kiseki.init(project="first-steps", config={"learning_rate": 0.01})',
    "for step in range(200):",
    '    run.log({"loss": 1 / (1 + step * run.config.learning_rate)})',
  ].join("\n");
}
