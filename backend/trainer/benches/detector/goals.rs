//! Figures beside what they should be.

use super::say;

/// A figure, its goal, and which way is good.
struct Goal {
    name: String,
    figure: f64,
    goal: f64,
    reached: bool,
}

/// All goals, in the order in which they were measured.
#[derive(Default)]
pub struct Goals(Vec<Goal>);

impl Goals {
    pub fn at_least(&mut self, name: &str, figure: f64, goal: f64) {
        self.0.push(Goal { name: name.to_owned(), figure, goal, reached: figure >= goal });
    }

    pub fn at_most(&mut self, name: &str, figure: f64, goal: f64) {
        self.0.push(Goal { name: name.to_owned(), figure, goal, reached: figure <= goal });
    }

    pub fn print(&self) {
        say("\ngoals                                            figure    goal");
        for Goal { name, figure, goal, reached } in &self.0 {
            say(&format!("{name:<46} {figure:>8.3} {goal:>7.3}   {}", if *reached { "reached" } else { "MISSED" }));
        }
    }
}
